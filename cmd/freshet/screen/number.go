package screen

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// number writes a number with few digits, such as 12.3k, as the door's page does.
func number(n float64) string {
	units := []string{"", "k", "M", "G", "T"}
	u := 0
	for math.Abs(n) >= 1000 && u < len(units)-1 {
		n /= 1000
		u++
	}
	digits := 2
	switch {
	case math.Abs(n) >= 100 || n == math.Trunc(n):
		digits = 0
	case math.Abs(n) >= 10:
		digits = 1
	}
	return strconv.FormatFloat(n, 'f', digits, 64) + units[u]
}

// size writes a number of bytes; less than 0 is one that nobody knows.
func size(n int64) string {
	if n < 0 {
		return nothing
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, u := float64(n), 0
	for f >= 1024 && u < len(units)-1 {
		f /= 1024
		u++
	}
	digits := 1
	if u == 0 || f >= 100 {
		digits = 0
	}
	return strconv.FormatFloat(f, 'f', digits, 64) + " " + units[u]
}

// seconds writes a length of time.
func seconds(s float64) string {
	switch {
	case s == 0:
		return "0"
	case s < 0.001:
		return fmt.Sprintf("%.0f µs", s*1e6)
	case s < 0.01:
		return fmt.Sprintf("%.1f ms", s*1e3)
	case s < 1:
		return fmt.Sprintf("%.0f ms", s*1e3)
	case s < 10:
		return fmt.Sprintf("%.1f s", s)
	case s < 120:
		return fmt.Sprintf("%.0f s", s)
	case s < 7200:
		return fmt.Sprintf("%.0f min", s/60)
	}
	return fmt.Sprintf("%.1f h", s/3600)
}

func percent(part, whole float64) string {
	if whole <= 0 {
		return nothing
	}
	return fmt.Sprintf("%.1f %%", 100*part/whole)
}

// known writes a count; less than 0 is one that nobody knows.
func known(n int64) string {
	if n < 0 {
		return nothing
	}
	return number(float64(n))
}

// nothing stands for what nobody knows.
const nothing = "–"

// many writes a count with what is counted.
func many(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	if strings.HasSuffix(one, "sh") || strings.HasSuffix(one, "ss") {
		return fmt.Sprintf("%d %ses", n, one)
	}
	return fmt.Sprintf("%d %ss", n, one)
}
