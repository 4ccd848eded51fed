package main

import "github.com/freshet-go/freshet/internal/spelling"

// nearest is the word that another one most resembles; empty when none comes near.
func nearest(word string, words []string) (best string) {
	least := 2 + len(word)/4
	for _, one := range words {
		distance := spelling.Distance(word, one)
		if spelling.OneSlip(word, one) {
			distance = 1 // with two letters swapped, too
		}
		if distance < least {
			best, least = one, distance
		}
	}
	return best
}
