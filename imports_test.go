package freshet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/freshet-go/freshet"

// room is a folder, or a family of folders, with what may be imported there. The first room whose
// pattern matches a package is its room.
type room struct {
	// as path.Match has it, relative to the module; "cmd/..." matches all below cmd, too
	pattern string
	ours    []string // patterns of our own packages that it may import
	modules []string // the modules of others that it may import, by the beginning of their paths
	vendors int      // besides modules: of how many owners it may import modules; -1: any
	never   []string // packages of the standard library that it may not import; "os/..." as above
	reason  string
}

var anything = []string{"", "..."}

var rooms = []room{
	{
		pattern: "", ours: []string{"middleware", "policy", "store", "explain"},
		reason: "the root package is the door for apps: names of the engine's and of policy's, " +
			"and nothing of its own",
	},
	{
		pattern: "internal/rules", ours: []string{"store", "policy", "internal/invalidation"},
		modules: []string{"github.com/pquerna/cachecontrol", "github.com/dunglas/httpsfv"},
		never: []string{
			"os/...", "io/...", "net", "net/http/*", "log/...", "sync/...", "runtime/...",
			"math/rand/...",
			"crypto/rand", "context", "syscall", "bufio", "embed", "database/...", "testing/...",
		},
		reason: "rules are judgement, pure and repeatable: no clock, I/O, goroutines or locks, " +
			"and no parsers " +
			"but those of Cache-Control and of structured fields",
	},
	{
		pattern: "policy",
		never: []string{"os/...", "io/...", "net", "log/...", "sync/...", "runtime/...",
			"context", "testing/..."},
		reason: "policy is what an operator writes and reads: values, which everybody imports, " +
			"and nothing that acts",
	},
	{
		pattern: "explain", ours: []string{"policy"},
		never: []string{"os/...", "io/...", "net", "net/http", "log/...", "sync/...",
			"runtime/...", "context", "testing/..."},
		reason: "explain words what the engine decided: it knows the words of policy, and no rule",
	},
	{
		pattern: "settings", ours: []string{"policy", "internal/mask", "internal/spelling"}, vendors: 1,
		reason: "settings are read before anything runs: from the environment and by one library " +
			"for files, " +
			"with policy below them, and without the engine, a store or a driver",
	},
	{
		pattern: "settings/reload", ours: []string{"settings"}, vendors: 1,
		reason: "what follows files is apart from settings, so that who only reads settings " +
			"links no watcher of files",
	},
	{
		pattern: "settings/routes", ours: []string{"policy", "settings", "internal/spelling"},
		reason: "rules are data that become policies: apps and tools read them without the engine",
	},
	{
		pattern: "store", ours: []string{"store/internal/keys"},
		modules: []string{"github.com/zeebo/xxh3", "github.com/klauspost/compress"},
		reason: "store holds the nouns and the contracts that all others import: nothing else of " +
			"ours but what a " +
			"key may be, and of others only hashing and compression",
	},
	{
		pattern: "store/internal/keys",
		reason:  "what a key may be is asked by store and by every driver: it knows none of them",
	},
	{
		pattern: "store/storetest", ours: []string{"store", "internal/invalidation"},
		reason: "authors of backends import storetest: it brings nothing along",
	},
	{
		pattern: "store/drivers", ours: []string{"store"},
		reason: "every driver imports the registry, so that it brings nothing along; package " +
			"open, which reads it, " +
			"brings stores and settings",
	},
	{
		pattern: "store/open",
		ours: []string{"store", "store/drivers", "store/filestore", "store/guardstore",
			"store/memstore", "store/sealedstore",
			"store/tieredstore", "settings", "internal/mask", "internal/spelling"},
		reason: "store/open links no vendor's client that its user has not imported; it reads " +
			"settings, and belongs " +
			"below the engine",
	},
	{
		pattern: "store/open/servertest", reason: "servertest holds tests and no code",
	},
	{
		pattern: "store/internal/*", ours: []string{"store", "store/internal/*"},
		reason: "what drivers have in common knows the contract in store and no driver: who " +
			"writes another one gets " +
			"no vendor's client with it",
	},
	{
		pattern: "store/*store",
		ours: []string{"store", "store/drivers", "store/internal/*", "internal/deadline",
			"internal/invalidation", "internal/memjournal", "internal/tier"},
		vendors: 1,
		reason: "a keeper knows the contract in store and one vendor's client: not what HTTP " +
			"says, not the " +
			"engine, and no other keeper (one that wraps another takes an interface of store)",
	},
	{
		pattern: "middleware",
		ours: []string{"store", "policy", "explain", "internal/rules", "internal/deadline",
			"internal/follower",
			"internal/lossy", "internal/fill", "internal/stall", "internal/invalidation",
			"internal/spool", "internal/tier", "internal/wire", "internal/writetoken"},
		reason: "the engine runs on the standard library, store, policy and rules alone: who " +
			"needs `go get` is a " +
			"driver under store or an adapter",
	},
	{
		pattern: "middleware/front", ours: []string{"middleware", "internal/wire"},
		reason: "the front knows bytes and connections: what a hit is, the engine says",
	},
	{pattern: "internal/wire", reason: "how a head is written says nothing of what is in it"},
	{
		pattern: "middleware/attacktest",
		reason:  "the attacks know HTTP and nothing of Freshet: they are played against any cache",
	},
	{
		pattern: "freshettest",
		reason:  "users import freshettest in their own tests: it brings nothing along",
	},
	{
		pattern: "metrics", ours: []string{"middleware", "policy"},
		reason: "what counts requests knows their events, and none of those who export the counts",
	},
	{
		pattern: "adapters/cdn/internal/*", ours: []string{"adapters/cdn", "policy"},
		reason: "what targets have in common knows package cdn and how tags are sent, and none of them",
	},
	{
		pattern: "adapters/cdn/fronttest", reason: "fronttest holds tests and no code",
	},
	{
		pattern: "adapters/cdn/*", ours: []string{"adapters/cdn", "adapters/cdn/internal/*", "policy"},
		reason: "a target is one cache in front, called by plain HTTP: no vendor's client, no " +
			"other adapter but package cdn, and nothing of the engine",
	},
	{
		pattern: "adapters/...",
		ours: []string{"store", "store/*", "policy", "settings", "metrics", "explain",
			"middleware", "middleware/*"}, vendors: 1,
		reason: "an adapter joins the engine to one outside system: one vendor, and no other " +
			"adapter",
	},
	{
		pattern: "internal/fill", ours: []string{"store", "policy", "internal/stall"},
		reason: "a fill knows bytes, readers and bounds: who may read along, and what is stored, " +
			"the engine decides",
	},
	{pattern: "internal/stall", reason: "what watches a client's writes knows nothing of what is " +
		"written"},
	{
		pattern: "internal/invalidation", ours: []string{"store"},
		reason: "what marks mean for an entry knows the nouns in store, and neither who asks nor " +
			"where marks come from",
	},
	{
		pattern: "internal/memjournal", ours: []string{"store"},
		reason: "a journal knows marks and their numbers, and nothing of what they cover",
	},
	{
		pattern: "internal/tier", ours: []string{"store", "internal/invalidation"},
		reason: "what the engine and a store in two tiers say to each other belongs to neither",
	},
	{pattern: "internal/mask", reason: "what hides passwords in messages knows URLs and nothing " +
		"of ours"},
	{pattern: "internal/lossy", reason: "a table that forgets knows nothing of what is in it"},
	{
		pattern: "internal/follower", ours: []string{"store", "internal/deadline",
			"internal/invalidation", "internal/spool"},
		reason: "who follows a journal knows stores and marks, and nothing of requests",
	},
	{
		pattern: "internal/spool", ours: []string{"store"},
		reason: "what keeps marks on the disk knows files and marks, and nothing of journals",
	},
	{
		pattern: "internal/writetoken",
		reason:  "a token knows a number and its end, and neither journals nor who carries it",
	},
	{
		pattern: "internal/deadline",
		reason:  "what engine and keepers share of the standard library's ways knows neither",
	},
	{
		pattern: "internal/...", ours: anything, vendors: -1,
		reason: "what serves our own tests and programs alone imports what it likes",
	},
	{pattern: "cmd/...", ours: anything, vendors: -1, reason: "programs import what they like"},
	{pattern: "examples/...", ours: anything, vendors: -1,
		reason: "examples import what they like"},
	{pattern: "bench/...", ours: anything, vendors: -1, reason: "bench has its own go.mod"},
}

// lightly are the modules that a user of the engine compiles, with a memory store or with
// store/open.
var lightly = []string{
	"github.com/pquerna/cachecontrol", "github.com/dunglas/httpsfv", // parsers, for the rules
	"github.com/maypok86/otter",                     // memstore's engine
	"github.com/zeebo/xxh3", "github.com/klauspost", // hashing and compression, for store
	"github.com/sony/gobreaker", "gopkg.in/ini.v1", // guardstore and settings, for store/open
}

// listed is a package as `go list -json` prints it.
type listed struct {
	ImportPath, Dir  string
	Standard         bool
	Imports, GoFiles []string
	Module           *struct{ Path string }
}

func TestImportsStayInTheirRooms(t *testing.T) {
	packages := list(t)
	for _, broken := range judgeImports(packages) {
		t.Error(broken)
	}
	for _, broken := range judgeWeight(packages, "", "middleware", "store/memstore", "store/open") {
		t.Error(broken)
	}
}

// What the rules must not do and no import gives away: now is an argument, and nothing runs beside
// the caller.
func TestRulesArePure(t *testing.T) {
	for _, p := range list(t) {
		if p.ImportPath != module+"/internal/rules" {
			continue
		}
		for _, name := range p.GoFiles {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, broken := range impurities(files, file) {
				t.Error(broken)
			}
		}
	}
}

// readModule looks at every folder of the module. These tests let the go command read the code; a
// folder that the test itself has opened makes `go test` run it again when a file there has
// changed, instead of repeating what it said before.
func readModule(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && name != "." && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T) []listed {
	t.Helper()
	readModule(t)
	var stderr bytes.Buffer
	command := exec.Command("go", "list", "-deps",
		"-json=ImportPath,Dir,Standard,Imports,GoFiles,Module", "./...")
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var packages []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := decoder.Decode(&p); err == io.EOF {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// judgeImports says which of our packages import what their room may not.
func judgeImports(packages []listed) (broken []string) {
	owners := make(map[string]string) // by import path, of the packages of others: their modules
	for _, p := range packages {
		if p.Module != nil && !isOurs(p.ImportPath) {
			owners[p.ImportPath] = p.Module.Path
		}
	}
	for _, p := range packages {
		if !isOurs(p.ImportPath) {
			continue
		}
		in := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		at := slices.IndexFunc(rooms, func(r room) bool { return matches(r.pattern, in) })
		if at < 0 {
			broken = append(broken, fmt.Sprintf("%s is in no room: find it one in the table of "+
				"DESIGN.md and here", in))
			continue
		}
		r, vendors := rooms[at], make(map[string]bool)
		for _, imported := range p.Imports {
			what := ""
			switch name := strings.TrimPrefix(strings.TrimPrefix(imported, module), "/"); {
			case isOurs(imported):
				if !slices.ContainsFunc(r.ours, func(pattern string) bool {
					return matches(pattern, name)
				}) {
					what = "our own " + name
				}
			case owners[imported] == "":
				if slices.ContainsFunc(r.never, func(pattern string) bool {
					return matches(pattern, imported)
				}) {
					what = imported
				}
			case !slices.ContainsFunc(r.modules,
				func(m string) bool { return imported == m || strings.HasPrefix(imported, m+"/") }):
				vendors[owner(owners[imported])] = true
				if r.vendors >= 0 && len(vendors) > r.vendors {
					what = imported
				}
			}
			if what != "" {
				broken = append(broken, fmt.Sprintf("%s imports %s: %s", in, what, r.reason))
			}
		}
	}
	return broken
}

// judgeWeight says what is compiled along with the named packages of ours that should not be.
func judgeWeight(packages []listed, names ...string) (broken []string) {
	byPath := make(map[string]listed)
	for _, p := range packages {
		byPath[p.ImportPath] = p
	}
	seen := make(map[string]bool)
	var follow func(from, imported string)
	follow = func(from, imported string) {
		p := byPath[imported]
		if seen[imported] || p.Standard {
			return
		}
		seen[imported] = true
		if p.Module != nil && p.Module.Path != module && !slices.ContainsFunc(lightly,
			func(m string) bool {
				return p.Module.Path == m || strings.HasPrefix(p.Module.Path, m+"/")
			}) && isOurs(from) {
			broken = append(broken,
				fmt.Sprintf("%s imports %s: who uses middleware with memstore or store/open "+
					"compiles no vendor's client", from,
					imported))
		}
		for _, next := range p.Imports {
			follow(imported, next)
		}
	}
	for _, name := range names {
		follow("", strings.TrimSuffix(module+"/"+name, "/"))
	}
	return broken
}

// impurities are the places where a file runs beside its caller, reads the clock or answers a
// client.
func impurities(files *token.FileSet, file *ast.File) (broken []string) {
	imported := make(map[string]string) // names of packages, as the file calls them
	for _, spec := range file.Imports {
		name := strings.Trim(spec.Path.Value, `"`)
		called := path.Base(name)
		if spec.Name != nil {
			called = spec.Name.Name
		}
		imported[called] = name
	}
	forbidden := map[string][]string{
		"time": {"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "Tick", "NewTimer",
			"NewTicker",
			"LoadLocation", "Local"},
		"net/http": {"ResponseWriter", "Handler", "HandlerFunc", "Client", "DefaultClient", "Get",
			"Head", "Post", "Error"},
	}
	say := func(at ast.Node, what string) {
		broken = append(broken, fmt.Sprintf("%s: %s: rules are judgement, pure and repeatable: "+
			"now is an argument, "+
			"and whatever touches a writer or a goroutine belongs to middleware",
			files.Position(at.Pos()), what))
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.GoStmt:
			say(node, "a goroutine")
		case *ast.ChanType, *ast.SelectStmt:
			say(node, "a channel")
		case *ast.SelectorExpr:
			if x, ok := node.X.(*ast.Ident); ok && slices.Contains(forbidden[imported[x.Name]],
				node.Sel.Name) {
				say(node, x.Name+"."+node.Sel.Name)
			}
		}
		return true
	})
	return broken
}

func isOurs(importPath string) bool {
	return importPath == module || strings.HasPrefix(importPath, module+"/")
}

// matches is path.Match, and "a/..." matches a and all below it.
func matches(pattern, name string) bool {
	if above, ok := strings.CutSuffix(pattern, "..."); ok {
		return above == "" || name+"/" == above || strings.HasPrefix(name, above)
	}
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// owner is who makes a module: modules of one owner count as one vendor.
func owner(modulePath string) string {
	parts := strings.Split(modulePath, "/")
	return strings.Join(parts[:min(2, len(parts))], "/")
}

// The rules themselves, each broken once.
func TestBrokenImportRulesAreSeen(t *testing.T) {
	of := func(p string) *struct{ Path string } { return &struct{ Path string }{p} }
	redis := listed{ImportPath: "github.com/redis/go-redis/v9",
		Module: of("github.com/redis/go-redis/v9")}
	hook := listed{ImportPath: "github.com/redis/extra/hook", Module: of("github.com/redis/extra")}
	echo := listed{ImportPath: "github.com/labstack/echo/v4",
		Module: of("github.com/labstack/echo/v4")}
	ini := listed{ImportPath: "gopkg.in/ini.v1", Module: of("gopkg.in/ini.v1")}
	parsing := listed{ImportPath: "github.com/pquerna/cachecontrol/cacheobject",
		Module: of("github.com/pquerna/cachecontrol")}
	tests := []struct {
		in, imports string
		says        string // empty: allowed
	}{
		{"internal/rules", module + "/store " + module + "/policy", ""},
		{"internal/rules", "net/http", ""},
		{"internal/rules", "github.com/pquerna/cachecontrol/cacheobject", ""},
		{"internal/rules", "os", "internal/rules imports os: rules are judgement"},
		{"internal/rules", "sync/atomic", "internal/rules imports sync/atomic"},
		{"internal/rules", "net/http/httptest", "internal/rules imports net/http/httptest"},
		{"internal/rules", module + "/middleware", "internal/rules imports our own middleware"},
		{"internal/rules", module + "/store/memstore", "internal/rules imports our own " +
			"store/memstore"},
		{"internal/rules", "github.com/redis/go-redis/v9",
			"internal/rules imports github.com/redis/go-redis/v9"},
		{"internal/rules", module + "/settings", "internal/rules imports our own settings"},
		{"policy", "net/http", ""},
		{"policy", "sync", "policy imports sync: policy is what an operator writes"},
		{"policy", module + "/internal/rules", "policy imports our own internal/rules"},
		{"policy", module + "/store", "policy imports our own store"},
		{"policy/settings", "os", "policy/settings is in no room"},
		{"settings", "os", ""},
		{"settings", module + "/policy gopkg.in/ini.v1", ""},
		{"settings", module + "/policy gopkg.in/ini.v1 github.com/redis/go-redis/v9",
			"one library for files"},
		{"settings", module + "/store", "settings imports our own store"},
		{"settings", module + "/middleware", "settings are read before anything runs"},
		{"store", module + "/policy", "nothing else of ours"},
		{"store", module + "/store/internal/keys", ""},
		{"store", module + "/store/internal/fault", "nothing else of ours"},
		{"store/internal/keys", module + "/store", "what a key may be"},
		{"store/internal/fault", module + "/store " + module + "/store/internal/keys", ""},
		{"store/internal/fault", module + "/store/redisstore", "no driver"},
		{"store/internal/fault", "github.com/redis/go-redis/v9", "no driver"},
		{"store/redisstore", module + "/store/internal/fault", ""},
		{"store/cachekitstore", module + "/store/httpstore", "no other keeper"},
		{"middleware", module + "/store/internal/fault", "the standard library, store, policy " +
			"and rules alone"},
		{"store", "github.com/redis/go-redis/v9", "only hashing and compression"},
		{"store/storetest", module + "/store/memstore", "storetest"},
		{"store/redisstore", "github.com/redis/go-redis/v9 github.com/redis/extra/hook", ""},
		{"store/redisstore", "github.com/redis/go-redis/v9 github.com/labstack/echo/v4",
			"one vendor's client"},
		{"store/redisstore", module + "/store/memstore", "no other keeper"},
		{"store/redisstore", module + "/policy", "not what HTTP says"},
		{"store/open", module + "/store/filestore", ""},
		{"store/open", module + "/store/redisstore", "links no vendor's client"},
		{"store/open", "github.com/redis/go-redis/v9", "links no vendor's client"},
		{"store/drivers", module + "/store", ""},
		{"store/drivers", module + "/store/open", "brings nothing along"},
		{"store/redisstore", module + "/store/drivers", ""},
		{"store/redisstore", module + "/store/open", "no other keeper"},
		{"store/open", module + "/settings", ""},
		{"store/open", module + "/middleware", "below the engine"},
		{"middleware", module + "/policy", ""},
		{"middleware", module + "/settings", "the standard library, store, policy and rules alone"},
		{"middleware", module + "/store/memstore", "the standard library, store, policy and " +
			"rules alone"},
		{"middleware", "github.com/pquerna/cachecontrol/cacheobject", "who needs `go get`"},
		{"freshettest", "net/http/httptest", ""},
		{"freshettest", module + "/middleware", "users import freshettest"},
		{"adapters/echocache", module + "/middleware github.com/labstack/echo/v4", ""},
		{"adapters/cdn/fastly", module + "/adapters/echocache", "no other adapter"},
		{"adapters/cdn/fastly", module + "/adapters/cdn " + module + "/adapters/cdn/internal/call",
			""},
		{"adapters/cdn/fastly", module + "/adapters/cdn/varnish", "no other adapter"},
		{"adapters/cdn/internal/call", module + "/adapters/cdn/varnish", "none of them"},
		{"adapters/cdn/fastly", "github.com/redis/go-redis/v9", "no vendor's client"},
		{"adapters/echocache", "github.com/labstack/echo/v4 github.com/redis/go-redis/v9",
			"one vendor"},
		{"cmd/freshet", module + "/adapters/echocache github.com/redis/go-redis/v9", ""},
		{"helpers", "fmt", "helpers is in no room"},
	}
	for _, test := range tests {
		p := listed{ImportPath: module + "/" + test.in, Imports: strings.Fields(test.imports)}
		broken := judgeImports([]listed{redis, hook, echo, ini, parsing, p})
		if test.says == "" && len(broken) > 0 ||
			test.says != "" && (len(broken) != 1 || !strings.Contains(broken[0], test.says)) {
			t.Errorf("%s imports %s: %q, want %q", test.in, test.imports, broken, test.says)
		}
	}

	broken := judgeWeight([]listed{
		redis,
		{ImportPath: module + "/middleware", Imports: []string{module + "/store"},
			Module: of(module)},
		{ImportPath: module + "/store", Imports: []string{"github.com/redis/go-redis/v9"},
			Module: of(module)},
	}, "middleware")
	if len(broken) != 1 ||
		!strings.Contains(broken[0], "store imports github.com/redis/go-redis/v9: who uses "+
			"middleware") {
		t.Errorf("a client under middleware: %q", broken)
	}

	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "internal/rules/x.go", `package rules
import ("net/http"; clock "time")
func f(w http.ResponseWriter) { go f(nil); clock.Now(); _ = make(chan int); _ = clock.Second }`, 0)
	if err != nil {
		t.Fatal(err)
	}
	if broken := impurities(files, file); len(broken) != 4 {
		t.Errorf("a writer, a goroutine, a clock and a channel: %q", broken)
	}
}
