package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/freshet-go/freshet/store"
)

const driver = Driver("somestore")

func TestFail(t *testing.T) {
	if err := driver.Fail("get", "key", store.KindTransient, nil); err != nil {
		t.Errorf("of nil: %v", err)
	}
	cause := errors.New("connection refused")
	err := driver.Fail("get", "key", store.KindTransient, cause)
	want := store.Error{Backend: "somestore", Op: "get", Key: "key", Kind: store.KindTransient,
		Err: cause}
	var made *store.Error
	if !errors.As(err, &made) || *made != want {
		t.Errorf("got %#v, want %#v", made, want)
	}
	wrapped := fmt.Errorf("again: %w", err)
	if again := driver.Fail("set", "other", store.KindPermanent, wrapped); again != wrapped {
		t.Errorf("an error that is made already became %v", again)
	}
}

func TestRefusals(t *testing.T) {
	long := strings.Repeat("k", 201)
	known := []store.Mark{{Kind: store.MarkEverything}, {Kind: store.MarkTag, Name: "t"}}
	for _, tt := range []struct {
		err  error
		want string // "": nil
	}{
		{driver.Refuse("set", "key", "%w: %d bytes", store.ErrTooLarge, 7),
			"somestore: set key: permanent error: value too large: 7 bytes"},
		{driver.CheckKey("get", "key"), ""},
		{driver.CheckKey("get", ""),
			"somestore: get: permanent error: a key of 0 bytes; 1 to 200 are allowed"},
		{driver.CheckKey("get", long),
			"somestore: get kkkkkkkkkkkkkkkk…: permanent error: a key of 201 bytes; 1 to 200 are " +
				"allowed"},
		{driver.CheckKey("get", "a\nb"),
			`somestore: get "a\nb": permanent error: a key that contains '\n'; ` +
				"letters, digits and the characters _ . : - are allowed"},
		{driver.CheckPrefix("append", ""), ""},
		{driver.CheckPrefix("append", "blog:"), ""},
		{driver.CheckPrefix("append", "a}b"),
			"somestore: append a}b: permanent error: a prefix that contains '}'; " +
				"letters, digits and the characters _ . : - are allowed"},
		{driver.CheckLease("lock", "name", time.Second), ""},
		{driver.CheckLease("lock", "name", 0),
			"somestore: lock name: permanent error: a lease for 0s; more than 0 is allowed"},
		{driver.CheckLease("lock", "", 0),
			"somestore: lock: permanent error: a key of 0 bytes; 1 to 200 are allowed"},
		{driver.CheckMarks("append", "blog:", known), ""},
		{driver.CheckMarks("append", "blog:", append(known, store.Mark{Kind: 9})),
			"somestore: append blog:: permanent error: store: mark of unknown kind 9"},
	} {
		switch {
		case tt.want == "" && tt.err == nil:
		case tt.err == nil || tt.err.Error() != tt.want:
			t.Errorf("got  %v\nwant %s", tt.err, tt.want)
		case store.KindOf(tt.err) != store.KindPermanent:
			t.Errorf("%v is %v", tt.err, store.KindOf(tt.err))
		}
	}
	err := driver.Refuse("set", "key", "%w", store.ErrTooLarge)
	if !errors.Is(err, store.ErrTooLarge) {
		t.Errorf("%v is no ErrTooLarge", err)
	}
}

func TestEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := os.ErrDeadlineExceeded // what a connection says
		why := errors.New("the client has left")
		ctx, cancel := context.WithCancelCause(t.Context())
		if err := Ended(ctx, late); err != nil {
			t.Errorf("of a context that is not done: %v", err)
		}
		cancel(why)
		if err := Ended(ctx, late); !errors.Is(err, context.Canceled) || !errors.Is(err, why) ||
			err.Error() != "context canceled: the client has left" {
			t.Errorf("of a context with a cause: %v", err)
		}
		ctx, cancel2 := context.WithCancel(t.Context())
		cancel2()
		if err := Ended(ctx, nil); err != context.Canceled {
			t.Errorf("of a context without a cause: %v", err)
		}

		// silent has a deadline, and its Err is late.
		silent := deadlineOnly{t.Context(), time.Now().Add(time.Second)}
		if err := Ended(silent, late); err != nil {
			t.Errorf("before the deadline: %v", err)
		}
		time.Sleep(time.Second)
		if err := Ended(silent, late); err != context.DeadlineExceeded {
			t.Errorf("of a time-out at the deadline: %v", err)
		}
		if err := Ended(silent, errors.New("refused")); err != nil {
			t.Errorf("of another error at the deadline: %v", err)
		}
	})
}

type deadlineOnly struct {
	context.Context
	end time.Time
}

func (d deadlineOnly) Deadline() (time.Time, bool) { return d.end, true }

func TestClosed(t *testing.T) {
	if ErrClosed.Error() != "the backend is closed" || !errors.Is(ErrClosed, os.ErrClosed) {
		t.Errorf("%v", ErrClosed)
	}
}
