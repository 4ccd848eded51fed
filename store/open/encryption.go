package open

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/freshet-go/freshet/store"
	"github.com/freshet-go/freshet/store/sealedstore"
)

// source says where keys are: "env:NAME" or "file:PATH". The zero value says nothing.
type source struct{ variable, file string }

var sources = value{
	read: func(v string) (string, error) {
		if v = strings.TrimSpace(v); v == "" {
			return "", nil
		}
		_, err := readSource(v)
		return v, err
	},
	allowed: "env:NAME, an environment variable, or file:PATH",
}

// readSource reads where keys are. Its error does not show the text, which may be a key.
func readSource(text string) (s source, err error) {
	switch kind, name, _ := strings.Cut(strings.TrimSpace(text), ":"); {
	case kind == "env" && name != "":
		s.variable = name
	case kind == "file" && name != "":
		s.file = name
	default:
		err = errors.New("allowed is env:NAME, for the environment variable with the keys, or " +
			"file:PATH, for a file with them; a key itself does not belong here")
	}
	return s, err
}

// keys reads the keys of a source. No error shows them.
func (s source) keys() ([]sealedstore.Key, error) {
	switch {
	case s.variable != "":
		text := os.Getenv(s.variable)
		if strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("the environment variable %s holds no key: set it to 32 bytes, in "+
				"hex or base64, such as openssl rand -hex 32 prints", s.variable)
		}
		all, err := sealedstore.ParseKeys(text)
		if err != nil {
			err = fmt.Errorf("the environment variable %s: %w", s.variable, err)
		}
		return all, err
	case s.file != "":
		all, err := sealedstore.ReadKeys(s.file)
		if err == nil && len(all) == 0 {
			err = fmt.Errorf("%s holds no key: write 32 bytes into it, in hex or base64, such as "+
				"openssl rand -hex 32 prints", s.file)
		}
		return all, err
	}
	return nil, nil
}

// keys returns the keys that the URL names, or those of the program.
func (p *parsed) keys() (sealedstore.Keys, error) {
	k := p.options.Encrypt
	key, err := p.key.keys()
	if err != nil {
		return k, fmt.Errorf("option encryption_key: %w", err)
	}
	if len(key) > 1 {
		return k, fmt.Errorf("option encryption_key: there are %d keys, and one encrypts: name the "+
			"others with encryption_old_keys", len(key))
	}
	old, err := p.old.keys()
	if err != nil {
		return k, fmt.Errorf("option encryption_old_keys: %w", err)
	}
	if len(key) == 1 {
		k.Key = key[0]
	}
	if old != nil {
		k.Old = old
	}
	if len(k.Old) > 0 && k.Key.IsZero() {
		return k, errors.New("option encryption_old_keys: there are old keys and none that encrypts: " +
			"name it with encryption_key")
	}
	if p.options.RequireEncryption && k.Key.IsZero() {
		return k, errors.New("option encryption=required: there is no key: set FRESHET_MASTER_KEY or " +
			"FRESHET_MASTER_KEY_FILE, or name it with encryption_key")
	}
	return k, nil
}

// encrypt puts encryption before b, if there are keys.
func (p *parsed) encrypt(b store.Backend, keys sealedstore.Keys) (store.Backend, error) {
	if keys.Key.IsZero() {
		return b, nil
	}
	log := &corruption{log: p.options.Log, url: p.shown}
	return sealedstore.New(b, sealedstore.Options{
		Keys: keys, Prefixes: []string{p.options.Prefix},
		OnFault: func(f sealedstore.Fault) {
			what := "freshet: a value in the store does not open: it counts as a miss"
			if f.Key == "" {
				what = "freshet: an invalidation in the store's journal does not open: it counts as " +
					"one of everything"
			}
			log.say(what, f)
			if p.options.OnFault != nil {
				p.options.OnFault(f)
			}
		},
	})
}

// The environment variables that ask for encryption, and the settings that they stand for.
var encrypting = []encryptionVariable{
	{"cache_encryption_key", "FRESHET_MASTER_KEY", "env"},
	{"cache_encryption_key", "FRESHET_MASTER_KEY_FILE", "file"},
	{"cache_encryption_old_keys", "FRESHET_OLD_MASTER_KEYS", "env"},
	{"cache_encryption_old_keys", "FRESHET_OLD_MASTER_KEYS_FILE", "file"},
}

type encryptionVariable struct{ setting, variable, kind string }

// value is what the setting would say of a variable that has a text.
func (e encryptionVariable) value(text string) string {
	if e.kind == "file" {
		return "file:" + text
	}
	return "env:" + e.variable
}

// EncryptionFrom returns what FRESHET_MASTER_KEY and its kin in environ say in the place of the
// setting cache_encryption_key or cache_encryption_old_keys, and the variable that says so: where
// the keys are, as in "env:FRESHET_MASTER_KEY", and never which. Two empty texts: they say nothing.
func EncryptionFrom(setting string, environ []string) (value, name string) {
	for _, e := range encrypting {
		if text := lookup(environ, e.variable); text != "" && e.setting == setting {
			return e.value(text), e.variable
		}
	}
	return "", ""
}

// encryptedBy adds to the settings what those variables say. Two that say different things are an
// error that names both.
func (v values) encryptedBy(environ []string) error {
	for _, e := range encrypting {
		text := lookup(environ, e.variable)
		if text == "" {
			continue
		}
		set := said{e.value(text), "environment variable " + e.variable, true}
		if other, there := v[e.setting]; there && other.value != set.value {
			return fmt.Errorf("open: the %s and %s (%s) both say where the key is: keep one",
				set.origin, e.setting, other.origin)
		}
		v[e.setting] = set
	}
	return nil
}
