package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/smithy-go"

	"github.com/freshet-go/freshet/store/internal/pause"
)

// tableWait is how often to look whether a table is there that is being made.
const tableWait = 200 * time.Millisecond

// Migrate implements [store.Migrator]. It creates the table, billed on demand, and enables its time
// to live, where the server knows that. It waits until the table can be used, which takes some ten
// seconds. A table of another key is an error.
func (b *Backend) Migrate(ctx context.Context, dryRun bool) (steps []string, err error) {
	const op = "migrate"
	table, err := b.describe(ctx, op)
	if err != nil {
		return nil, err
	}
	missing := table == nil
	if missing {
		steps = append(steps, "create the table "+b.config.Table)
		if !dryRun {
			if err := b.createTable(ctx, op); err != nil {
				return nil, err
			}
		}
	}
	if !missing || !dryRun {
		if err := b.usable(ctx, op); err != nil {
			return steps, err
		}
	}
	off, err := b.keepsExpired(ctx, op, missing && dryRun)
	if err != nil || !off {
		return steps, err
	}
	steps = append(steps, fmt.Sprintf("enable the time to live of the table %s, by the attribute %s",
		b.config.Table, attrExpires))
	if dryRun {
		return steps, nil
	}
	return steps, b.enableTTL(ctx, op)
}

// describe returns what the server says of the table; nil if there is none.
func (b *Backend) describe(ctx context.Context, op string) (*types.TableDescription, error) {
	out, err := call(ctx, b, op, "", (*dynamodb.Client).DescribeTable,
		&dynamodb.DescribeTableInput{TableName: &b.config.Table})
	switch {
	case saidCode(err) == "ResourceNotFoundException":
		return nil, nil
	case err != nil:
		return nil, err
	}
	return out.Table, nil
}

// saidCode returns the server's name for an error, or nothing.
func saidCode(err error) string {
	if said, ok := errors.AsType[smithy.APIError](err); ok {
		return said.ErrorCode()
	}
	return ""
}

// createTable creates the table, unless another process does so at the same time.
func (b *Backend) createTable(ctx context.Context, op string) error {
	_, err := call(ctx, b, op, "", (*dynamodb.Client).CreateTable, &dynamodb.CreateTableInput{
		TableName:   &b.config.Table,
		BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String(attrKey), AttributeType: types.ScalarAttributeTypeS},
			{AttributeName: aws.String(attrSort), AttributeType: types.ScalarAttributeTypeS},
		},
		KeySchema: keySchema(),
	})
	if saidCode(err) == "ResourceInUseException" {
		return nil
	}
	return err
}

func keySchema() []types.KeySchemaElement {
	return []types.KeySchemaElement{
		{AttributeName: aws.String(attrKey), KeyType: types.KeyTypeHash},
		{AttributeName: aws.String(attrSort), KeyType: types.KeyTypeRange},
	}
}

// usable waits until the table is made, and checks its key.
func (b *Backend) usable(ctx context.Context, op string) error {
	for {
		table, err := b.describe(ctx, op)
		if err != nil {
			return err
		}
		if table != nil && usableStatus(table.TableStatus) {
			return b.checkKeySchema(op, table)
		}
		if err := pause.For(ctx, tableWait); err != nil {
			return b.fail(ctx, op, "", err)
		}
	}
}

func usableStatus(s types.TableStatus) bool {
	return s == types.TableStatusActive || s == types.TableStatusUpdating
}

func (b *Backend) checkKeySchema(op string, table *types.TableDescription) error {
	want, same := keySchema(), len(table.KeySchema) == 2
	for i := 0; same && i < len(want); i++ {
		got := table.KeySchema[i]
		same = aws.ToString(got.AttributeName) == *want[i].AttributeName && got.KeyType == want[i].KeyType
	}
	for _, a := range table.AttributeDefinitions {
		name := aws.ToString(a.AttributeName)
		if name == attrKey || name == attrSort {
			same = same && a.AttributeType == types.ScalarAttributeTypeS
		}
	}
	if !same {
		return driver.Refuse(op, "", "the table %s has another key: its partition key must be the "+
			"string %q, its sort key the string %q; name another table", b.config.Table, attrKey,
			attrSort)
	}
	return nil
}

// keepsExpired reports whether the server knows a time to live and the table has none. planned is
// for a table that is not there.
func (b *Backend) keepsExpired(ctx context.Context, op string, planned bool) (bool, error) {
	if !planned {
		on, err := b.hasTTL(ctx, op)
		if err != nil || on {
			return false, err
		}
	}
	// A request that cannot be fulfilled, since it names no attribute, tells whether there could be
	// one.
	_, err := b.updateTTL(ctx, op, "")
	if err == nil || saidCode(err) != "" {
		return saidCode(err) != "UnknownOperationException", nil
	}
	return false, err
}

// hasTTL reports whether the table has, or is about to have, a time to live. A server that knows
// none says so, too.
func (b *Backend) hasTTL(ctx context.Context, op string) (bool, error) {
	out, err := call(ctx, b, op, "", (*dynamodb.Client).DescribeTimeToLive,
		&dynamodb.DescribeTimeToLiveInput{TableName: &b.config.Table})
	switch {
	case saidCode(err) == "UnknownOperationException":
		return true, nil
	case err != nil:
		return false, err
	}
	d := out.TimeToLiveDescription
	if d == nil {
		return false, nil
	}
	on := d.TimeToLiveStatus == types.TimeToLiveStatusEnabled ||
		d.TimeToLiveStatus == types.TimeToLiveStatusEnabling
	if on && aws.ToString(d.AttributeName) != attrExpires {
		return false, driver.Refuse(op, "", "the table %s has a time to live by the attribute %.80q; "+
			"it must be %q", b.config.Table, aws.ToString(d.AttributeName), attrExpires)
	}
	return on, nil
}

func (b *Backend) updateTTL(
	ctx context.Context, op, attribute string,
) (*dynamodb.UpdateTimeToLiveOutput, error) {
	return call(ctx, b, op, "", (*dynamodb.Client).UpdateTimeToLive, &dynamodb.UpdateTimeToLiveInput{
		TableName: &b.config.Table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{
			AttributeName: &attribute, Enabled: aws.Bool(true)},
	})
}

// enableTTL enables the time to live, unless another process does so at the same time.
func (b *Backend) enableTTL(ctx context.Context, op string) error {
	_, err := b.updateTTL(ctx, op, attrExpires)
	if err == nil {
		return nil
	}
	if on, e := b.hasTTL(ctx, op); e == nil && on {
		return nil
	}
	return err
}
