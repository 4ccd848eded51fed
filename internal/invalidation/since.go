package invalidation

import (
	"context"
	"fmt"

	"github.com/freshet-go/freshet/store"
)

// Since returns all marks after a number, of a journal that may return them in parts, and the head.
// Its error says where an answer breaks the contract.
func Since(
	ctx context.Context, j store.Journal, number uint64,
) (all []store.Numbered, head uint64, err error) {
	for {
		marks, now, err := j.Since(ctx, number)
		if err != nil {
			return nil, 0, fmt.Errorf("Since(%d): %w", number, err)
		}
		if now < head {
			return nil, 0, fmt.Errorf("Since(%d): head %d, after %d with the marks before", number,
				now, head)
		}
		head = now
		for i, m := range marks {
			if m.Number <= number {
				return nil, 0, fmt.Errorf("Since(%d): mark %d is %+v: the numbers do not ascend",
					number, i, m)
			}
			number = m.Number
		}
		all = append(all, marks...)
		if len(marks) == 0 || number >= head {
			return all, head, nil
		}
	}
}
