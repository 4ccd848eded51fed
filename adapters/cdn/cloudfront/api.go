package cloudfront

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/freshet-go/freshet/adapters/cdn"
	"github.com/freshet-go/freshet/adapters/cdn/internal/call"
)

// batch is the body of CreateInvalidation.
type batch struct {
	XMLName   xml.Name `xml:"http://cloudfront.amazonaws.com/doc/2020-05-31/ InvalidationBatch"`
	Reference string   `xml:"CallerReference"`
	Paths     struct {
		Items    []string `xml:"Items>Path"`
		Quantity int
	}
}

// invalidation is what CloudFront answers of one.
type invalidation struct {
	XMLName xml.Name `xml:"Invalidation"`
	ID      string   `xml:"Id"`
	Status  string   // "InProgress", "Completed"
}

// create makes an invalidation. Each has a reference of its own: with one that CloudFront knows, it
// would answer with an invalidation of before.
func (t *Target) create(ctx context.Context, paths []string) (*invalidation, error) {
	b := batch{Reference: rand.Text()}
	b.Paths.Items, b.Paths.Quantity = paths, len(paths)
	body, err := xml.Marshal(b)
	if err != nil {
		return nil, err
	}
	return t.call(ctx, http.MethodPost, "", append([]byte(xml.Header), body...))
}

// look asks what has become of an invalidation.
func (t *Target) look(ctx context.Context, id string) (*invalidation, error) {
	return t.call(ctx, http.MethodGet, "/"+url.PathEscape(id), nil)
}

func (t *Target) call(
	ctx context.Context, method, below string, body []byte,
) (*invalidation, error) {
	ctx, cancel := context.WithTimeout(ctx, t.client.Timeout())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, t.o.Address+"/2020-05-31/distribution/"+
		t.o.Distribution+"/invalidation"+below, strings.NewReader(string(body)))
	if err != nil {
		return nil, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/xml")
	}
	keys, err := t.o.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, t.client.Fail(cdn.KindAuthentication, nil, "Options.Credentials gave none: "+
			err.Error())
	}
	client := t.client.Hiding(keys.SecretAccessKey, keys.SessionToken)
	sum := sha256.Sum256(body)
	err = v4.NewSigner().SignHTTP(ctx, keys, r, hex.EncodeToString(sum[:]), "cloudfront",
		"us-east-1", time.Now())
	if err != nil {
		return nil, client.Fail(cdn.KindAuthentication, nil, "the call cannot be signed")
	}
	a, err := client.Send(r)
	if err != nil {
		return nil, coded(client, r, a, err)
	}
	var made invalidation
	if err := xml.Unmarshal(a.Body, &made); err != nil || made.ID == "" || made.Status == "" {
		return nil, client.Fail(cdn.KindTemporary, a, "the answer is no invalidation: "+
			client.Excerpt(a))
	}
	return &made, nil
}

// coded returns the error of an answer by its code, where that says more than the status.
// CloudFront says by 400 that it has too much to do, and not when to try again, and that
// credentials have expired.
func coded(client *call.Client, r *http.Request, a *call.Answer, err error) error {
	e, ok := errors.AsType[*cdn.Error](err)
	if !ok || a == nil {
		return err
	}
	var said struct {
		Code string `xml:"Error>Code"`
	}
	if xml.Unmarshal(a.Body, &said) != nil {
		return err
	}
	switch said.Code {
	case "TooManyInvalidationsInProgress", "Throttling", "ThrottlingException",
		"PriorRequestNotComplete":
		e.Kind = cdn.KindTemporary
	case "ExpiredToken", "RequestExpired", "InvalidClientTokenId", "SignatureDoesNotMatch":
		if e.Kind != cdn.KindAuthentication { // which has the advice already
			return client.Refused(cdn.KindAuthentication, r, a)
		}
	}
	return err
}
