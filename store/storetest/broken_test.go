package storetest

import (
	"testing"
	"testing/synctest"
	"time"
)

// A suite that cannot fail is a defect: the tests in broken_*_test.go show what each rule is there
// to find.

// finder holds rules to what they must find.
type finder[T any] struct {
	rules  []rule[T]
	faults []fault[T]
}

// fault is a subject with something wrong, and the rule that it must break; others may break, too.
type fault[T any] struct {
	name, rule string
	newSubject func() T
}

func (f *finder[T]) add(name, rule string, newSubject func() T) {
	f.faults = append(f.faults, fault[T]{name, rule, newSubject})
}

// run fails for each fault that is not found, and for each rule that finds none.
func (f *finder[T]) run(t *testing.T) {
	checks := map[string]func(*testing.T, T) error{}
	finds := map[string]int{}
	for _, r := range f.rules {
		checks[r.name] = func(t *testing.T, subject T) error {
			return r.check(t.Context(), subject, options([]Options{{Keys: 2000, Oversize: tooMuch}}))
		}
	}
	for _, fault := range f.faults {
		finds[fault.rule]++
		t.Run(fault.name, func(t *testing.T) {
			check := checks[fault.rule]
			if check == nil {
				t.Fatalf("there is no rule %q", fault.rule)
			}
			var err error
			synctest.Test(t, func(t *testing.T) {
				err = check(t, fault.newSubject())
				time.Sleep(48 * time.Hour) // for whatever it has left running
			})
			if err == nil {
				t.Errorf("passes the rule %q", fault.rule)
			}
			t.Logf("found: %.300v", err)
		})
	}
	for _, r := range f.rules {
		if finds[r.name] == 0 {
			t.Errorf("nothing shows that the rule %q can fail", r.name)
		}
	}
}
