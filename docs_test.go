package freshet_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"iter"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/internal/testserver"
)

// TestDocsCompile compiles and vets each ```go snippet of the pages at the root and in docs, so
// that what a reader copies works. A snippet is one of:
//
//   - a complete file, which begins with its package clause; of package main it has a func main;
//   - declarations;
//   - statements, which may return an error.
//
// The latter two may begin with imports. Packages of ours, of the modules that we require and of
// the standard library are imported for them as far as their names are unique. What else a snippet
// needs (a handler, a mux) stands in an HTML comment right before it, as declarations, which
// readers of the page do not see:
//
//	<!-- go: var next http.Handler -->
//
// A README without a Go snippet is a failure: it begins with code that works.
func TestDocsCompile(t *testing.T) {
	pages := readPages(t)
	if readme, ok := pages["README.md"]; ok && len(snippets("README.md", readme)) == 0 {
		t.Error("README.md has no Go snippet: it begins with code that works")
	}
	for _, wrong := range vetPages(t, pages) {
		t.Error(wrong)
	}
}

// readPages returns the text of each page of Markdown at the root and in docs, by its name.
func readPages(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	inDocs, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	pages := make(map[string]string)
	for _, name := range append(names, inDocs...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		pages[filepath.ToSlash(name)] = string(text)
	}
	return pages
}

// snippet is a piece of Go in a page.
type snippet struct {
	page  string
	line  int // where its code begins, from 1
	given string
	code  string
}

// snippets are the fenced pieces of Go in a page of Markdown.
func snippets(page, text string) (all []snippet) {
	given, fence, isGo := "", "", false
	var s snippet
	number := 0
	for line := range strings.Lines(text) {
		number++
		bare := strings.TrimSpace(line)
		switch opened := len(bare) - len(strings.TrimLeft(bare, "`~")); {
		case fence != "" && strings.HasPrefix(bare, fence) && strings.Trim(bare, fence[:1]) == "":
			if fence, given = "", ""; isGo {
				all = append(all, s)
			}
		case fence != "":
			s.code += line
		case opened >= 3:
			fence = bare[:opened]
			words := strings.Fields(bare[opened:])
			isGo = len(words) > 0 && (words[0] == "go" || words[0] == "golang")
			s = snippet{page: page, line: number + 1, given: given}
		case strings.HasPrefix(bare, "<!-- go:"):
			given = strings.TrimSuffix(strings.TrimPrefix(bare, "<!-- go:"), "-->")
		case bare != "":
			given = ""
		}
	}
	if fence != "" && isGo {
		s.code += "\n```: the fence is never closed"
		all = append(all, s)
	}
	return all
}

// vetPages compiles and vets the snippets of the pages, each as a package of its own in a module
// that requires ours, as a reader's does, and says what is wrong with them.
func vetPages(t *testing.T, pages map[string]string) (wrong []string) {
	t.Helper()
	readModule(t)
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	reader, known, written := readersModule(t, root), packagesByName(t), 0
	for _, page := range slices.Sorted(maps.Keys(pages)) {
		for _, s := range snippets(page, pages[page]) {
			text, err := s.file(filepath.Join(root, page), known)
			if err != nil {
				wrong = append(wrong, fmt.Sprintf("%s:%d: %v", page, s.line, err))
				continue
			}
			name := filepath.Join(reader, fmt.Sprintf("snippet%03d", written), "snippet.go")
			write(t, name, string(text))
			written++
		}
	}
	if written == 0 {
		return wrong
	}
	command := exec.Command("go", testserver.GoFlags("vet", "./...")...)
	command.Dir = reader
	if out, err := command.CombinedOutput(); err != nil {
		wrong = append(wrong, string(out))
	}
	for i, text := range wrong {
		// vet shortens paths from where it runs
		for _, before := range []string{root, ".." + root} {
			text = strings.ReplaceAll(text, before+string(filepath.Separator), "")
		}
		wrong[i] = text
	}
	return wrong
}

// modules are the folders with the go.mod files whose modules pages may use: ours, that of the
// tests with middleware of others, and adapters and drivers that are modules of their own. Pages
// may import the latter.
var (
	modules = append([]string{".", "adapters/mounts"}, apart...)
	apart   = []string{"adapters/opentelemetry", "adapters/prometheus", "adapters/cdn/cloudfront",
		"store/dynamostore"}
)

// readersModule is a folder with a module that requires ours as it stands here, and all that the
// modules require.
func readersModule(t *testing.T, root string) string {
	t.Helper()
	folder := t.TempDir()
	required, sums := make(map[string]bool), make(map[string]bool) // lines
	for _, name := range modules {
		for line := range lines(t, filepath.Join(name, "go.mod")) {
			if line, ok := strings.CutPrefix(line, "\t"); ok && !strings.HasPrefix(line, module) {
				line, _, _ = strings.Cut(line, " //")
				required[line] = true
			}
		}
		for line := range lines(t, filepath.Join(name, "go.sum")) {
			sums[line] = true
		}
	}
	replaced := fmt.Sprintf("replace %s => %q\n", module, root)
	for _, name := range apart {
		required[fmt.Sprintf("%s/%s v0.0.0", module, name)] = true
		replaced += fmt.Sprintf("replace %s/%s => %q\n", module, name, filepath.Join(root, name))
	}
	write(t, filepath.Join(folder, "go.mod"), fmt.Sprintf(
		"module reader\n\ngo 1.26.0\n\nrequire (\n%s v0.0.0\n%s\n)\n\n%s",
		module, strings.Join(slices.Sorted(maps.Keys(required)), "\n"), replaced))
	write(t, filepath.Join(folder, "go.sum"), strings.Join(slices.Sorted(maps.Keys(sums)), "\n")+
		"\n")
	return folder
}

// lines yields the lines of a file, without their ends.
func lines(t *testing.T, name string) iter.Seq[string] {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n")
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// file makes a Go file of the snippet, whose messages are about the lines of the page.
func (s snippet) file(page string, known map[string]string) ([]byte, error) {
	if file, err := parseGo(s.code, parser.PackageClauseOnly); err == nil {
		if file, err = parseGo(s.code, 0); err != nil {
			return nil, err
		}
		if file.Name.Name == "main" && file.Scope.Lookup("main") == nil {
			return nil, fmt.Errorf("package main has no func main")
		}
		return fmt.Appendf(nil, "//line %s:%d\n%s", page, s.line, s.code), nil
	}
	const clause = "package snippet;"
	head, err := parseGo(clause+s.code, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	imports, body := "", s.code
	if n := len(head.Decls); n > 0 {
		end := int(head.Decls[n-1].End()) - 1 - len(clause)
		imports, body = s.code[:end], s.code[end:]
	}
	// The parts of the file, each with the line that messages about it should name.
	compose := func(added, before, body, after string) string {
		return fmt.Sprintf(
			"package snippet\n%s//line %s:%d\n%s\n//line %[2]s:%[5]d\n%[6]s\n%[7]s//line "+
				"%[2]s:%[8]d\n%[9]s\n%[10]s",
			added, page, s.line, imports, s.line, s.given, before, s.line+strings.Count(imports,
				"\n"), body, after)
	}
	before, after := "", ""
	if _, err := parseGo(compose("", "", body, ""), 0); err != nil {
		before, after = "func _() {\n", "}\n"
		function, err := parseGo(clause+before+body+"\n"+after, 0)
		if err != nil {
			return nil, fmt.Errorf("neither a file nor declarations nor statements: %w", err)
		}
		statements := function.Decls[0].(*ast.FuncDecl).Body
		if returnsValue(statements) {
			before = "func _() error {\n"
			if list := statements.List; !isReturn(list[len(list)-1]) {
				after = "return nil\n}\n"
			}
		}
		body = useNames(body, statements, len(clause+"func _() {\n"))
	}
	file, err := parseGo(compose("", before, body, after), 0)
	if err != nil {
		return nil, err
	}
	added := ""
	for _, name := range packagesNamed(file) {
		if known[name] != "" {
			added += fmt.Sprintf("import %s %q\n", name, known[name])
		}
	}
	return []byte(compose(added, before, body, after)), nil
}

func parseGo(text string, mode parser.Mode) (*ast.File, error) {
	return parser.ParseFile(token.NewFileSet(), "", text, mode)
}

// packagesNamed are the names that a file uses as packages and does not import.
func packagesNamed(file *ast.File) []string {
	imported := make(map[string]bool)
	for _, spec := range file.Imports {
		parts := strings.Split(strings.Trim(spec.Path.Value, `"`), "/")
		for _, part := range parts[max(0, len(parts)-2):] {
			imported[part] = true // the last part, or the one before v2
		}
		if spec.Name != nil {
			imported[spec.Name.Name] = true
		}
	}
	unresolved := make(map[*ast.Ident]bool)
	for _, ident := range file.Unresolved {
		unresolved[ident] = true
	}
	var names []string
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if x, ok := selector.X.(*ast.Ident); ok && unresolved[x] && !imported[x.Name] &&
				!slices.Contains(names, x.Name) {
				names = append(names, x.Name)
			}
		}
		return true
	})
	return names
}

// useNames uses each variable that the statements of a body declare at their outermost level: an
// example may end before it does. It adds no line.
func useNames(body string, statements *ast.BlockStmt, offset int) string {
	for _, statement := range slices.Backward(statements.List) {
		var names []string
		switch statement := statement.(type) {
		case *ast.AssignStmt:
			for _, left := range statement.Lhs {
				if name, ok := left.(*ast.Ident); ok && statement.Tok == token.DEFINE &&
					name.Name != "_" {
					names = append(names, name.Name)
				}
			}
		case *ast.DeclStmt:
			if decl, ok := statement.Decl.(*ast.GenDecl); ok && decl.Tok == token.VAR {
				for _, spec := range decl.Specs {
					for _, name := range spec.(*ast.ValueSpec).Names {
						names = append(names, name.Name)
					}
				}
			}
		}
		end := int(statement.End()) - 1 - offset
		for _, name := range names {
			body = body[:end] + "; _ = " + name + body[end:]
		}
	}
	return body
}

// returnsValue tells whether the statements themselves, not the functions in them, return a value.
func returnsValue(statements *ast.BlockStmt) (found bool) {
	ast.Inspect(statements, func(node ast.Node) bool {
		if r, ok := node.(*ast.ReturnStmt); ok && len(r.Results) > 0 {
			found = true
		}
		_, inner := node.(*ast.FuncLit)
		return !inner
	})
	return found
}

func isReturn(statement ast.Stmt) bool {
	_, ok := statement.(*ast.ReturnStmt)
	return ok
}

// packagesByName are the packages that a snippet need not import: ours before those of the standard
// library before those of others, where only one has the name.
func packagesByName(t *testing.T) map[string]string {
	t.Helper()
	// With -e, since a package that cannot be loaded is another test's business, unless a snippet
	// names it.
	out, err := exec.Command("go", "list", "-e", "-deps", "-f", "{{.Name}} {{.Standard}} "+
		"{{.ImportPath}}",
		"./...", "std").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	known, ranks := make(map[string]string), make(map[string]int)
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) != 3 {
			continue // a package without a name could not be loaded
		}
		name, importPath := words[0], words[2]
		if name == "main" || strings.Contains("/"+importPath+"/", "/internal/") ||
			strings.HasPrefix(importPath, "vendor/") {
			continue
		}
		rank := 1
		if isOurs(importPath) {
			rank = 3
		} else if words[1] == "true" {
			rank = 2
		}
		switch {
		case rank > ranks[name]:
			known[name], ranks[name] = importPath, rank
		case rank == ranks[name] && known[name] != importPath:
			known[name] = ""
		}
	}
	return known
}

// What is wrong in a page must be seen, and with its line.
func TestBrokenDocsAreSeen(t *testing.T) {
	pages := map[string]string{
		"docs/right.md": "```go\npackage main\n\nfunc main() {}\n```\n" +
			"Declarations:\n\n~~~~ go\nimport \"errors\"\n\nvar errOurs = " +
			"errors.New(\"ours\")\n\nfunc f(w http.ResponseWriter) { _ = policy.Reason(\"x\"); " +
			"panic(errOurs) }\n~~~~\n" +
			"Statements:\n\n<!-- go: var next http.Handler -->\n\n```go\np := policy.Policy{TTL: " +
			"time.Minute}\nvar x, y = 1, 2 // unused\nif next == nil {\n\treturn " +
			"fmt.Errorf(\"none\")\n}\n```\n" +
			"Others:\n\n```\nno go\n```\n```sh\ngo run .\n```\n",
		"docs/undefined.md": "text\n\n```go\n\nx := 1\npolicy.NoSuchThing(x)\n```\n",
		"docs/given.md": "<!-- go: var next http.Handler -->\n\n```go\nnext.ServeHTTP(nil, " +
			"nil)\n```\n\n```go\nnext.ServeHTTP(nil, nil)\n```\n",
		"docs/vetted.md":   "```go\nfmt.Printf(\"%d\", \"text\")\n```\n",
		"docs/nomain.md":   "```go\npackage main\n```\n",
		"docs/syntax.md":   "```go\nif {\n```\n",
		"docs/open.md":     "```go\nx := 1\n",
		"docs/indented.md": "- one\n\n  ```go\n  import \"os\"\n\n  os.NoSuchThing()\n  ```\n",
	}
	got := strings.Join(vetPages(t, pages), "\n")
	for _, want := range []string{
		"docs/undefined.md:6:", "docs/given.md:8:", "docs/vetted.md:2:",
		"docs/nomain.md:2: package main has no func main",
		"docs/syntax.md:2: neither", "docs/open.md:2: neither", "docs/indented.md:6:",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("not seen: %s", want)
		}
	}
	for _, line := range strings.Split(got, "\n") {
		if strings.Contains(line, "right.md") || strings.Contains(line, "given.md:4") {
			t.Errorf("right, and refused: %s", line)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
}
