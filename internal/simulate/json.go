package simulate

import (
	"encoding/json"
	"io"
	"time"

	"github.com/freshet-go/freshet/policy"
)

// JSON writes the report for programs: an object, indented.
func (r *Report) JSON(w io.Writer) error {
	type line struct {
		Log    string `json:"log"`
		Number int64  `json:"line"`
		Why    string `json:"why"`
	}
	type outcome struct {
		Name           string  `json:"name"`
		HitRatio       float64 `json:"hit_ratio"` // from 0 to 1
		OriginRequests int64   `json:"origin_requests"`
		Counts
		NotKept map[policy.Reason]int64 `json:"not_kept"`
		Groups  []Group                 `json:"groups"`
	}
	report := struct {
		From         time.Time `json:"from"`
		To           time.Time `json:"to"`
		Settings     string    `json:"settings"`
		Alternatives []outcome `json:"alternatives"`
		LoggedHits   int64     `json:"logged_hits"`
		Logged       int64     `json:"logged"`
		SkippedLines int64     `json:"skipped_lines"`
		Skipped      []line    `json:"skipped"`
		Unreadable   int64     `json:"unreadable_targets"`
		Late         int64     `json:"late_lines"`
		Purges       int64     `json:"purges"`
		UnknownTypes int64     `json:"unknown_types"`
	}{
		From: r.From, To: r.To, Settings: r.Settings.describe(), LoggedHits: r.LoggedHits,
		Logged:       r.Logged,
		SkippedLines: r.Skipped.Lines, Skipped: []line{}, Unreadable: r.Unreadable, Late: r.Late,
		Purges: r.Purges, UnknownTypes: r.UnknownType,
	}
	for _, s := range r.Skipped.First {
		report.Skipped = append(report.Skipped, line{s.Log, s.Number, s.Why})
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		report.Alternatives = append(report.Alternatives, outcome{
			o.Name, o.Total.HitRatio(), o.Total.OriginRequests(), o.Total, o.Why, o.Groups,
		})
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(report)
}
