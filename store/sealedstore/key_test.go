package sealedstore_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/store/sealedstore"
)

// theKey is 32 bytes that no ID or text of the tests has.
var theKey = []byte("\xf3\x9a\x01KeyThatNobodyMustEverSeeInAny")

// shows returns how a text shows the key, or "".
func shows(text string) string {
	for form, secret := range map[string]string{
		"the bytes": string(theKey), "a part of the bytes": string(theKey[3:15]),
		"hex": hex.EncodeToString(theKey), "HEX": strings.ToUpper(hex.EncodeToString(theKey)),
		"a part of the hex": hex.EncodeToString(theKey[:8]),
		"base64":            base64.StdEncoding.EncodeToString(theKey),
		"a part of base64":  base64.StdEncoding.EncodeToString(theKey)[:16],
		"decimals":          strings.Trim(fmt.Sprint(theKey[:6]), "[]"),
		"Go's hex":          strings.TrimSuffix(fmt.Sprintf("%#v", theKey[:6]), "}")[len("[]byte{"):],
	} {
		if strings.Contains(text, secret) {
			return form
		}
	}
	return ""
}

func TestAKeyIsReadFromText(t *testing.T) {
	want, err := sealedstore.NewKey(theKey)
	if err != nil || len(theKey) != sealedstore.KeySize {
		t.Fatal(len(theKey), err)
	}
	for _, text := range []string{
		hex.EncodeToString(theKey), strings.ToUpper(hex.EncodeToString(theKey)),
		base64.StdEncoding.EncodeToString(theKey), base64.RawStdEncoding.EncodeToString(theKey),
		base64.URLEncoding.EncodeToString(theKey), base64.RawURLEncoding.EncodeToString(theKey),
		"\n " + hex.EncodeToString(theKey) + "\r\n",
	} {
		if k, err := sealedstore.ParseKey(text); err != nil || k.ID() != want.ID() {
			t.Errorf("%q: %v, %v; want %v", text, k, err, want)
		}
	}
	for _, text := range []string{"", "x", hex.EncodeToString(theKey[1:]),
		hex.EncodeToString(theKey) + "00", hex.EncodeToString(theKey)[1:] + "x",
		base64.StdEncoding.EncodeToString(theKey[1:]), string(theKey),
		base64.StdEncoding.EncodeToString(theKey) + "AA",
		base64.StdEncoding.EncodeToString(theKey)[:20] + "\n" +
			base64.StdEncoding.EncodeToString(theKey)[20:],
		hex.EncodeToString(make([]byte, 32))} {
		k, err := sealedstore.ParseKey(text)
		if err == nil || !k.IsZero() || !strings.Contains(err.Error(), "openssl rand -hex 32") {
			t.Errorf("%q: %v, %v", text, k, err)
		} else if how := shows(err.Error()); how != "" {
			t.Errorf("the error shows %s of the key: %v", how, err)
		}
	}
}

func TestKeysAreReadFromAFile(t *testing.T) {
	text := hex.EncodeToString(theKey)
	for story, c := range map[string]struct {
		text string
		keys int
		says string
	}{
		"one":         {text + "\n", 1, ""},
		"lines":       {text + "\n" + base64.StdEncoding.EncodeToString(theKey) + "\r\n", 2, ""},
		"commas":      {text + ", " + text + "," + text, 3, ""},
		"none":        {" \n", 0, ""},
		"no key":      {text + "\n" + text[1:], 0, "key 2: "},
		"no key file": {strings.Repeat(text+"\n", 100), 0, "more than 4096 bytes"},
	} {
		name := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := sealedstore.ReadKeys(name)
		if len(keys) != c.keys || (err != nil) != (c.says != "") {
			t.Errorf("%s: %v, %v", story, keys, err)
		}
		if err != nil && (!strings.Contains(err.Error(), c.says) ||
			!strings.Contains(err.Error(), name) || shows(err.Error()) != "") {
			t.Errorf("%s: the error is %q", story, err)
		}
	}
	if _, err := sealedstore.ReadKeys(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there is read")
	}
}

// Nothing that prints, logs or encodes a key, or what holds one, shows it.
func TestAKeyIsNeverShown(t *testing.T) {
	k, err := sealedstore.NewKey(theKey)
	if err != nil {
		t.Fatal(err)
	}
	other := key(t, 'b')
	keys := sealedstore.Keys{Key: k, Old: []sealedstore.Key{other}}
	options := sealedstore.Options{Keys: keys, Prefixes: []string{"a:"}}
	b := seal(t, inMemory(t), options)
	type unexported struct {
		k    sealedstore.Key
		keys *sealedstore.Keys
	}
	for _, v := range []any{k, &k, keys, &keys, options, &options, b, *k0(k), []sealedstore.Key{k},
		map[string]sealedstore.Key{"a": k}, unexported{k, &keys}, &unexported{k, &keys}} {
		var text strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b",
			"%c", "%U", "%t", "%p", "%08x", "% x"} {
			fmt.Fprintf(&text, verb+"\n", v)
		}
		asJSON, _ := json.Marshal(v)
		text.Write(asJSON)
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "v", v)
		text.Write(log.Bytes())
		if how := shows(text.String()); how != "" {
			t.Errorf("%T shows %s of the key:\n%s", v, how, text.String())
		}
	}
	for _, text := range []string{fmt.Sprint(k), fmt.Sprintf("%#v", k), fmt.Sprintf("%x", k)} {
		if text != "sealedstore.Key("+k.ID()+")" || len(k.ID()) != 16 {
			t.Errorf("a key is shown as %q", text)
		}
	}
	if text := fmt.Sprint(sealedstore.Key{}); text != "sealedstore.Key(none)" ||
		(sealedstore.Key{}).ID() != "" {
		t.Errorf("no key is shown as %q", text)
	}
}

func k0(k sealedstore.Key) *struct{ Key sealedstore.Key } {
	return &struct{ Key sealedstore.Key }{k}
}

func TestKeysThatAreRefused(t *testing.T) {
	a, b := key(t, 'a'), key(t, 'b')
	for says, keys := range map[string]sealedstore.Keys{
		"no key to seal with":             {},
		"no key to seal with: read":       {Old: []sealedstore.Key{a}},
		"4 old keys: at most 3":           {Key: a, Old: []sealedstore.Key{b, b, b, b}},
		"old key 1 is no key":             {Key: a, Old: make([]sealedstore.Key, 1)},
		"old key 2 (" + a.ID() + ") is":   {Key: a, Old: []sealedstore.Key{b, a}},
		"old key 2 (" + b.ID() + ") is t": {Key: a, Old: []sealedstore.Key{b, b}},
	} {
		if err := keys.Validate(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
		if _, err := sealedstore.New(inMemory(t), sealedstore.Options{Keys: keys}); err == nil {
			t.Errorf("New takes keys of which %q is said", says)
		}
	}
	for _, prefix := range []string{"", "a b", strings.Repeat("a", 137)} {
		_, err := sealedstore.New(inMemory(t), sealedstore.Options{
			Keys: sealedstore.Keys{Key: a}, Prefixes: []string{"a:", prefix}})
		if err == nil || !strings.Contains(err.Error(), "prefix") {
			t.Errorf("prefix %q: %v", prefix, err)
		}
	}
	if _, err := sealedstore.New(nil, sealedstore.Options{Keys: sealedstore.Keys{Key: a}}); err == nil {
		t.Error("New takes no backend")
	}
}
