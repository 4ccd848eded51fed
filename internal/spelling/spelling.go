// Package spelling tells how far apart two names are, for guesses at what was meant.
package spelling

// OneSlip reports whether one name is the other with a letter too many, too few or wrong, or with
// two neighbours swapped.
func OneSlip(one, other string) bool {
	if one == other || len(one)-len(other) > 1 || len(other)-len(one) > 1 {
		return false
	}
	i := 0
	for i < len(one) && i < len(other) && one[i] == other[i] {
		i++
	}
	swapped := i+1 < len(one) && i+1 < len(other) && one[i] == other[i+1] && one[i+1] == other[i] &&
		one[i+2:] == other[i+2:]
	return swapped || Distance(one, other) <= 1
}

// Distance is how many bytes must be put in, left out or replaced to make one of the other. A key
// that is not about as long as the other needs no exact answer.
func Distance(one, other string) int {
	if d := len(one) - len(other); d > len(other) || -d > len(one) {
		return max(len(one), len(other))
	}
	row := edits(one, other, 1)
	return row[len(row)-1]
}

// TailDistance is the least distance of tail from any text that key ends with.
func TailDistance(key, tail string) int {
	key = key[max(0, len(key)-2*len(tail)):]
	row := edits(tail, key, 0)
	return row[len(row)-1]
}

// edits is the last row of the table of distances: of the whole of one from each head of other. A
// byte left out at the start of other costs skip.
func edits(one, other string, skip int) []int {
	row := make([]int, len(other)+1)
	for j := range row {
		row[j] = j * skip
	}
	for i := range len(one) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(other) {
			replaced := diagonal
			if one[i] != other[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, diagonal+1)
		}
	}
	return row
}
