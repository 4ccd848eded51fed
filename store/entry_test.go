package store

import (
	"testing"
	"time"
	"unsafe"
)

func TestCurrentAge(t *testing.T) {
	received := time.Unix(1_800_000_000, 0)
	e := &Entry{Age: 5 * time.Second, Received: received}
	for after, want := range map[time.Duration]time.Duration{
		-time.Hour:  5 * time.Second, // a clock that was set back makes nothing younger
		0:           5 * time.Second,
		time.Second: 6 * time.Second,
		time.Hour:   time.Hour + 5*time.Second,
	} {
		if got := e.CurrentAge(received.Add(after)); got != want {
			t.Errorf("%v after it was received: %v, want %v", after, got, want)
		}
	}
}

func TestLifetime(t *testing.T) {
	for _, tt := range []struct {
		e    Entry
		want time.Duration
	}{
		{Entry{}, 0},
		{Entry{Fresh: 60}, 60},
		{Entry{Fresh: 60, Age: 20}, 40},
		{Entry{Fresh: 60, Age: 80}, -20},
		{Entry{Fresh: 60, StaleWhileRevalidate: 30, StaleIfError: 10, Retention: 20}, 90},
		{Entry{Fresh: 60, StaleWhileRevalidate: 10, StaleIfError: 30, Retention: 20}, 90},
		{Entry{Fresh: 60, StaleWhileRevalidate: 10, StaleIfError: 20, Retention: 30, Age: 5}, 85},
	} {
		if got := tt.e.TTL(); got != tt.want {
			t.Errorf("fresh %d, grace %d, if error %d, keep %d, age %d: %d, want %d",
				tt.e.Fresh, tt.e.StaleWhileRevalidate, tt.e.StaleIfError, tt.e.Retention, tt.e.Age,
				got, tt.want)
		}
	}
}

// A page that was stored before the machine slept is older by that, in the memory of this process,
// too, where times have a monotonic reading.
func TestTheAgeOfWhatWasStoredBeforeTheMachineSlept(t *testing.T) {
	received := time.Now()
	woken := received.Add(time.Hour + time.Second)
	(*struct { // its monotonic reading lacks the hour
		wall uint64
		ext  int64
	})(unsafe.Pointer(&woken)).ext -= int64(time.Hour)
	e := &Entry{Received: received, Age: time.Minute}
	if got, want := e.CurrentAge(woken), time.Hour+time.Second+time.Minute; got != want {
		t.Errorf("an age of %v; want %v", got, want)
	}
}
