package dynamostore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/internal/fault"
)

const driver = fault.Driver("dynamostore")

// fail returns the driver's error of the SDK's.
func (b *Backend) fail(ctx context.Context, op, key string, err error) error {
	if fault.Made(err) {
		return err
	}
	if ended := fault.Ended(ctx, err); ended != nil {
		return driver.Fail(op, key, store.KindTimeout,
			fmt.Errorf("no answer before the context was done: %w", ended))
	}
	if b.closed.Load() {
		return driver.Fail(op, key, store.KindPermanent, fault.ErrClosed)
	}
	kind, text := b.judge(err)
	if key != "" && strings.Contains(text, key) {
		text = strings.ReplaceAll(text, key, "…")
	}
	return driver.Fail(op, key, kind, fault.As(lines.Replace(text), err))
}

// lines makes a text a single line.
var lines = strings.NewReplacer("\n\t", " ", "\n", " ", "\r", " ")

// judge returns the kind of an error, and what of it is shown.
func (b *Backend) judge(err error) (store.ErrorKind, string) {
	if said, ok := errors.AsType[smithy.APIError](err); ok {
		return b.judgeAnswer(said, status(err))
	}
	if none, ok := errors.AsType[*noCredentials](err); ok {
		return store.KindAuthentication, cut(none.Error()) + "; the AWS SDK looks for them in the " +
			"environment, in its files, and asks the role of the container or machine"
	}
	switch kind := store.KindOf(err); kind {
	case store.KindTimeout:
		text := fmt.Sprintf("no answer within %v", b.config.Timeout)
		if errors.Is(err, store.ErrUnderway) {
			text += ": " + store.ErrUnderway.Error()
		}
		return kind, text
	case store.KindUnknown:
		// Not an answer of DynamoDB's: nothing of it is shown, it may be a part of a value.
		return store.KindTransient, "the answer is not what DynamoDB would say" + ofStatus(status(err))
	default:
		return kind, cut(innermost(err).Error())
	}
}

// innermost returns the error at the end of a chain, which says what the SDK's around it do not.
func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		if _, ok := err.(interface{ Timeout() bool }); ok {
			return err // *net.OpError: it names the address
		}
		err = next
	}
}

func status(err error) int {
	if res, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return res.HTTPStatusCode()
	}
	return 0
}

func ofStatus(status int) string {
	if status == 0 {
		return ""
	}
	return fmt.Sprintf(": status %d", status)
}

const shownText = 300 // bytes of the server's text

// cut returns the beginning of a text that is long.
func cut(text string) string {
	if len(text) > shownText {
		return strings.ToValidUTF8(text[:shownText], "") + "…"
	}
	return text
}

// judgeAnswer classifies an error by the server's name for it, or else by the status of HTTP.
func (b *Backend) judgeAnswer(said smithy.APIError, status int) (store.ErrorKind, string) {
	text := said.ErrorCode()
	if said.ErrorMessage() != "" {
		text += ": " + cut(said.ErrorMessage())
	}
	switch code := said.ErrorCode(); {
	case throttles[code], transients[code]:
		return store.KindTransient, text
	case denials[code]:
		return store.KindAuthentication, text + deniedHint(code)
	case code == "ResourceNotFoundException":
		return store.KindPermanent, fmt.Sprintf("%s; create the table %s with dynamostore's "+
			"Migrate, or as docs/backends.md has it", text, b.config.Table)
	case status >= 500 || status == 429 || status == 0:
		return store.KindTransient, text
	}
	return store.KindPermanent, text
}

// throttles are the errors of a server that has too much to do: for the table's or the account's
// throughput, or for the partition's.
var throttles = map[string]bool{
	"ProvisionedThroughputExceededException": true,
	"ThrottlingException":                    true,
	"Throttling":                             true,
	"ThrottledException":                     true,
	"RequestLimitExceeded":                   true,
	"RequestThrottled":                       true,
	"RequestThrottledException":              true,
	"TooManyRequestsException":               true,
	"SlowDown":                               true,
	"LimitExceededException":                 true, // too many tables are being made
}

// transients are the others that a later call may not get.
var transients = map[string]bool{
	"InternalServerError":              true,
	"InternalFailure":                  true,
	"ServiceUnavailable":               true,
	"ServiceUnavailableException":      true,
	"RequestTimeout":                   true,
	"RequestTimeoutException":          true,
	"TransactionConflictException":     true,
	"ReplicatedWriteConflictException": true,
	"ResourceInUseException":           true, // the table is being made or changed
}

// denials are about who asks.
var denials = map[string]bool{
	"AccessDeniedException":               true,
	"AccessDenied":                        true,
	"UnrecognizedClientException":         true,
	"InvalidClientTokenId":                true,
	"InvalidAccessKeyId":                  true,
	"MissingAuthenticationTokenException": true,
	"MissingAuthenticationToken":          true,
	"IncompleteSignatureException":        true,
	"IncompleteSignature":                 true,
	"InvalidSignatureException":           true,
	"SignatureDoesNotMatch":               true,
	"RequestExpired":                      true,
	"ExpiredToken":                        true,
	"ExpiredTokenException":               true,
	"NotAuthorized":                       true,
	"OptInRequired":                       true,
	"SubscriptionRequiredException":       true,
}

func deniedHint(code string) string {
	switch code {
	case "AccessDeniedException", "AccessDenied", "NotAuthorized":
		return "; docs/backends.md lists the permissions that the role needs"
	case "InvalidSignatureException", "RequestExpired", "SignatureDoesNotMatch":
		return "; is this machine's clock right to five minutes?"
	}
	return ""
}

// throttled reports whether an error says that the server has too much to do.
func throttled(err error) bool {
	said, ok := errors.AsType[smithy.APIError](err)
	return ok && throttles[said.ErrorCode()] || errors.Is(err, errUnprocessed)
}

// errUnprocessed is what a batch becomes of which the server did not do all.
var errUnprocessed = errors.New("the server has too much to do: it did a part of the batch")
