package dynamostore

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	for rawURL, want := range map[string]Config{
		"dynamodb://eu-west-1/pages": {Region: "eu-west-1", Table: "pages"},
		"dynamodb://":                {},
		"DynamoDB:///pages":          {Table: "pages"},
		"dynamodb://eu-west-1":       {Region: "eu-west-1"},
		"dynamodb://eu-west-1/a.b_c-D9?consistent=false&oversize=refuse&sweep=true": {
			Region: "eu-west-1", Table: "a.b_c-D9", EventualReads: true, Oversize: OversizeRefuse,
			Sweep: true},
		"dynamodb://local/pages?endpoint=http://127.0.0.1:8000&profile=dev&consistent=true": {
			Region: "local", Table: "pages", Endpoint: "http://127.0.0.1:8000", Profile: "dev"},
		"dynamodb://eu-west-1/pages?pool_size=7&dial_timeout=250ms&timeout=1.5": {
			Region: "eu-west-1", Table: "pages", PoolSize: 7, DialTimeout: 250 * time.Millisecond,
			Timeout: 1500 * time.Millisecond},
	} {
		if got, err := ParseURL(rawURL); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v; want %+v", rawURL, got, err, want)
		}
	}
}

func TestURLsThatAreNotAllowed(t *testing.T) {
	for rawURL, says := range map[string]string{
		"redis://h":                               "must begin with dynamodb://",
		"eu-west-1/pages":                         "must begin with dynamodb://",
		"dynamodb:/ID:secret@eu-west-1/pages":     "must begin with dynamodb://",
		"dynamodb://ID:secret@eu-west-1/pages":    "credentials do not stand in the URL",
		"dynamodb://eu-west-1/pages#x":            "a fragment",
		"dynamodb://EU-WEST/pages":                "region",
		"dynamodb://eu-west-1/pa ges":             "3 to 255",
		"dynamodb://eu-west-1/p":                  "3 to 255",
		"dynamodb://eu-west-1/pages/more":         "3 to 255",
		"dynamodb://eu-west-1/p?table=pages":      "unknown option",
		"dynamodb://h/pages?endpoint=ftp://h":     "endpoint",
		"dynamodb://h/pages?endpoint=h:8000":      "endpoint",
		"dynamodb://h/pages?endpoint=http://u@h":  "endpoint",
		"dynamodb://h/pages?endpoint=http://h/x":  "endpoint",
		"dynamodb://h/pages?consistent=perhaps":   "true or false",
		"dynamodb://h/pages?oversize=drop":        "split and refuse",
		"dynamodb://h/pages?sweep=2":              "true or false",
		"dynamodb://h/pages?pool_size=0":          "1 or more",
		"dynamodb://h/pages?pool_size=10001":      "1 to 10000",
		"dynamodb://h/pages?timeout=2h":           "1ms to 1h",
		"dynamodb://h/pages?dial_timeout=1us":     "1ms to 1h",
		"dynamodb://h/pages?timeout=1&timeout=2":  "once is allowed",
		"dynamodb://h/pages?secret_key=%zzsecret": "malformed",
	} {
		_, err := ParseURL(rawURL)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "secret@") ||
			strings.Contains(err.Error(), ":secret") || strings.Contains(err.Error(), "\n") ||
			!strings.HasPrefix(err.Error(), "dynamostore: url ") {
			t.Errorf("%s: %v; want %s", rawURL, err, says)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, s := range []string{"dynamodb://", "dynamodb://r/table?endpoint=http://h:1&consistent=false",
		"dynamodb://a@b/c?timeout=1", "dynamodb:///t?oversize=split&sweep=true&pool_size=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rawURL string) {
		c, err := ParseURL(rawURL)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "dynamostore: url ") {
				t.Errorf("%q: %v", rawURL, err)
			}
			return
		}
		checked, err := c.check()
		if err != nil || checked.PoolSize < 1 || checked.Timeout < time.Millisecond ||
			!tableName.MatchString(checked.Table) {
			t.Errorf("%q: %+v, %v", rawURL, checked, err)
		}
	})
}

// Without a region in the URL the SDK's counts, and without that one there is none.
func TestRegion(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_REGION", "eu-north-1")
	b, err := New(Config{Credentials: anybody})
	if err != nil || !strings.HasPrefix(b.where, "dynamodb://eu-north-1/freshet") {
		t.Fatalf("New: %+v, %v", b, err)
	}
	b.Close()
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	if _, err := New(Config{Credentials: anybody}); err == nil ||
		!strings.Contains(err.Error(), "dynamodb://REGION/TABLE") {
		t.Errorf("New without a region: %v", err)
	}
	if _, err := New(Config{Region: "eu-north-1", Profile: "nobody"}); err == nil ||
		!strings.Contains(err.Error(), "nobody") {
		t.Errorf("New with a profile that is not there: %v", err)
	}
}
