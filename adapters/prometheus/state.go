package prometheus

import (
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store"
	"github.com/prometheus/client_golang/prometheus"
)

var (
	fills = describe("fills",
		"Keys whose responses are being made, and that requests may read along with.")
	fillBytes = describe("fill_bytes",
		"Bytes that responses in the making hold besides the store.")
	readBytes = describe("read_bytes",
		"Bytes that clients hold of stored responses that the store has let go.")
	readers = describe("readers",
		"Long stored responses that clients are reading.")
	refreshes = describe("refreshes",
		"Refreshes that run in the background.")

	journalInTouch = describe("journal_in_touch",
		"1 while the shared journal of invalidations answers, 0 when nothing stored is used for "+
			"want of it.")
	journalNumber = describe("journal_number",
		"The newest number of the journal that this process knows.")
	journalLag = describe("journal_lag_seconds",
		"Time since the shared journal answered last.")
	journalUnsent = describe("journal_unsent",
		"Invalidations of this process that the shared journal has not taken yet.")
	journalBehind = describe("journal_behind",
		"Numbers that the shared journal is known to have given out and that this process has not "+
			"applied.")
	journalBehindFor = describe("journal_behind_seconds",
		"How long such numbers have been known; 0 while everything is applied.")
	journalMembers = describe("journal_members",
		"Processes on the shared journal's list; 0 where it keeps none.")
	journalAwaits = describe("journal_awaited",
		"Processes that must be heard, after an outage, before old entries are used again.")

	storeEntries = describe("store_entries",
		"Entries of a tier of the store.", "tier")
	storeBytes = describe("store_bytes",
		"Bytes of a tier of the store, as they count towards its bound.", "tier")
	storeDeadBytes = describe("store_dead_bytes",
		"Bytes of a tier of entries that an invalidation covers, by a sample.", "tier")
	storeMaxBytes = describe("store_max_bytes",
		"The bound of a tier of the store, in bytes.", "tier")
	storeRemoved = describe("store_removed_entries_total",
		"Entries that a tier of the store removed: cause is size, expired or invalidated.", "tier", "cause")
	storeReads = describe("store_reads_total",
		"Reads of a tier of the store: result is hit or miss.", "tier", "result")
	storeCalls = describe("store_calls_total",
		"Operations for a server: result is ok, failed or rejected (by the breaker).", "tier",
		"result")
	storeEncryptionFaults = describe("store_encryption_faults_total",
		"What lay in an encrypted tier and did not open: cause is unsealed, other-version, "+
			"unknown-key or altered.", "tier", "cause")
	storeBreaker = describe("store_breaker_state",
		"The state of the breaker before a server: 1 for the one it is in.", "tier", "state")
)

func collectRuns(to chan<- prometheus.Metric, s *middleware.Stats) {
	to <- gauge(fills, float64(s.Fills))
	to <- gauge(fillBytes, float64(s.FillBytes))
	to <- gauge(readBytes, float64(s.ReadBytes))
	to <- gauge(readers, float64(s.Readers))
	to <- gauge(refreshes, float64(s.Refreshes))
}

func collectJournal(to chan<- prometheus.Metric, j *middleware.JournalStats) {
	inTouch := 0.0
	if j.InTouch {
		inTouch = 1
	}
	to <- gauge(journalInTouch, inTouch)
	to <- gauge(journalNumber, float64(j.Number))
	to <- gauge(journalUnsent, float64(j.Unsent))
	to <- gauge(journalBehind, float64(j.Behind))
	to <- gauge(journalBehindFor, j.BehindFor.Seconds())
	to <- gauge(journalMembers, float64(len(j.Members)))
	to <- gauge(journalAwaits, float64(len(j.Awaits)))
	if j.Lag >= 0 { // or else it has never answered
		to <- gauge(journalLag, j.Lag.Seconds())
	}
}

func collectTiers(to chan<- prometheus.Metric, s *middleware.Stats) {
	for i := range s.Tiers {
		collectTier(to, &s.Tiers[i])
	}
}

func collectTier(to chan<- prometheus.Metric, t *store.TierStats) {
	known := func(n int64, metric func(v float64) prometheus.Metric) {
		if n >= 0 {
			to <- metric(float64(n))
		}
	}
	gauges := func(d *prometheus.Desc) func(float64) prometheus.Metric {
		return func(v float64) prometheus.Metric { return gauge(d, v, t.Name) }
	}
	counters := func(d *prometheus.Desc, label string) func(float64) prometheus.Metric {
		return func(v float64) prometheus.Metric { return counter(d, v, t.Name, label) }
	}
	known(t.Entries, gauges(storeEntries))
	known(t.Bytes, gauges(storeBytes))
	known(t.MaxBytes, gauges(storeMaxBytes))
	known(t.Evicted, counters(storeRemoved, "size"))
	known(t.Expired, counters(storeRemoved, "expired"))
	known(t.Reclaimed, counters(storeRemoved, "invalidated"))
	known(t.DeadBytes, gauges(storeDeadBytes))
	known(t.Hits, counters(storeReads, "hit"))
	known(t.Misses, counters(storeReads, "miss"))
	if t.Calls >= 0 {
		to <- counter(storeCalls, float64(max(t.Calls-t.Failed, 0)), t.Name, "ok")
	}
	known(t.Failed, counters(storeCalls, "failed"))
	known(t.Rejected, counters(storeCalls, "rejected"))
	for cause, n := range t.EncryptionFaults.Causes {
		known(n, counters(storeEncryptionFaults, cause))
	}
	if t.Breaker == "" {
		return
	}
	for _, state := range []string{"closed", "half-open", "open"} {
		is := 0.0
		if t.Breaker == state {
			is = 1
		}
		to <- gauge(storeBreaker, is, t.Name, state)
	}
}
