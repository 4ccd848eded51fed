package main

import "testing"

func TestTheMachinesShortName(t *testing.T) {
	for _, c := range []struct {
		cpu   string
		cores int
		want  string
	}{
		{"AMD EPYC", 2, "amd-epyc-2-cores"},
		{"Intel(R) Xeon(R) CPU E5-2670 v3 @ 2.30GHz", 48, "intel-xeon-e5-2670-v3-48-cores"},
		{"AMD Ryzen 7 5800X 8-Core Processor", 16, "amd-ryzen-7-5800x-16-cores"},
		{"arm64", 1, "arm64-1-core"},
		{"../../etc", 4, "etc-4-cores"},
		{"", 4, "4-cores"},
	} {
		if got := (machine{CPU: c.cpu, Cores: c.cores}).short(); got != c.want {
			t.Errorf("%q: got %q, want %q", c.cpu, got, c.want)
		}
	}
}

func TestWhatIsReadOfTheSystem(t *testing.T) {
	if got := memory("16384000 kB"); got != "15.6 GiB" {
		t.Errorf("memory: %q", got)
	}
	if got := system("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"); got != "Debian GNU/Linux 12 (bookworm)" {
		t.Errorf("system: %q", got)
	}
	for said, want := range map[string]string{
		"wrk debian/4.1.0-3+b2 [epoll] Copyright":                     "4.1.0-3+b2",
		"nginx version: nginx/1.22.1":                                 "1.22.1",
		"varnishd (varnish-7.1.1 revision 7cee1c58)":                  "7.1.1",
		"Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.2.1 ": "7.0.15",
	} {
		if got := versionNumber.FindString(said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}

func TestCores(t *testing.T) {
	one := []cpu{{0, []int{0}}}
	two := []cpu{{0, []int{0}}, {1, []int{1}}}
	threads := []cpu{{0, []int{0, 1}}, {1, []int{0, 1}}, {2, []int{2, 3}}, {3, []int{2, 3}}}
	for _, c := range []struct {
		name string
		cpus []cpu
		want cores
	}{
		{"none known", nil, cores{server: -1, load: -1}},
		{"one", one, cores{server: -1, load: -1}},
		{"two", two, cores{server: 1, load: 0}},
		{"two cores of two threads", threads, cores{server: 3, load: 1}},
		{"one core of two threads", threads[:2], cores{server: 1, load: 0, siblings: true}},
	} {
		if got := chooseCores(c.cpus); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := cpuList("0-2,5\n"); len(got) != 4 || got[3] != 5 {
		t.Errorf("0-2,5: got %v", got)
	}
}
