package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"sync"
	"time"
)

// mood is how the database is.
type mood int

const (
	normal  mood = iota
	busy         // it takes three times as long: the crowd also buys, which no cache answers
	slow         // it takes fifteen times as long
	failing      // it refuses, soon
	hanging      // it does not answer
)

const (
	aQuery   = 100 * time.Millisecond // when the database has not much else to do
	aReport  = 8                      // queries
	aRefusal = 20 * time.Millisecond
	workers  = 2 // with more queries at once, each takes so much longer
)

// database is what the pages are made of.
type database struct {
	day   day
	began time.Time

	mu      sync.Mutex
	running int
	runs    []aRun
}

// aRun is a run of the handler.
type aRun struct {
	at      time.Duration // since the day began
	path    string
	running int // how many ran then, with this one
}

var errDatabase = errors.New("the database does not answer")

// query takes its time, which depends on how the database is when it begins.
func (db *database) query(ctx context.Context, path string, queries int) error {
	now := time.Now()
	running := db.begin(path, now)
	defer db.end()
	takes := time.Duration(float64(aQuery) * float64(queries) * luck(path, now) *
		max(1, float64(running)/workers))
	switch db.day.phases[db.day.phase(now.Sub(db.began))].mood {
	case busy:
		takes *= 3
	case slow:
		takes *= 15
	case failing:
		return errors.Join(wait(ctx, aRefusal), errDatabase)
	case hanging:
		<-ctx.Done()
		return ctx.Err()
	}
	return wait(ctx, takes)
}

// begin notes a run, and returns how many there are at once.
func (db *database) begin(path string, now time.Time) (running int) {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.running++
	db.runs = append(db.runs, aRun{now.Sub(db.began), path, db.running})
	return db.running
}

func (db *database) end() {
	db.mu.Lock()
	defer db.mu.Unlock()
	db.running--
}

// luck is a number around 1, the same for the same path and time.
func luck(path string, at time.Time) float64 {
	h := fnv.New32a()
	fmt.Fprint(h, path, at.UnixNano())
	return 0.8 + 0.4*float64(h.Sum32())/math.MaxUint32
}

// wait waits, unless ctx is done before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
