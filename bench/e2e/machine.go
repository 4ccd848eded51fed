package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
)

// machine describes where this was measured, without saying whose it is.
type machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory string `json:"memory"`
	Kernel string `json:"kernel"`
	System string `json:"system"`
	Go     string `json:"go"`
	Load   string `json:"load_average_before"` // of the last minute
}

func describeMachine() machine {
	read := func(path string) string {
		b, _ := os.ReadFile(path)
		return string(b)
	}
	model := field(read("/proc/cpuinfo"), "model name")
	if model == "" {
		model = runtime.GOARCH
	}
	load, _, _ := strings.Cut(read("/proc/loadavg"), " ")
	return machine{
		CPU:    model,
		Cores:  runtime.NumCPU(),
		Memory: memory(field(read("/proc/meminfo"), "MemTotal")),
		Kernel: strings.TrimSpace(read("/proc/sys/kernel/osrelease")),
		System: system(read("/etc/os-release")),
		Go:     runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH,
		Load:   load,
	}
}

// busy is whether something else ran before the first round.
func (m machine) busy() bool {
	load, err := strconv.ParseFloat(m.Load, 64)
	return err == nil && load >= 1
}

// memory turns the kernel's "16384000 kB" into "15.6 GiB".
func memory(kernels string) string {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(kernels, " kB"), 64)
	if err != nil {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GiB", kib/(1<<20))
}

func system(osRelease string) string {
	for line := range strings.Lines(osRelease) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"`)
		}
	}
	return "unknown"
}

var (
	noise     = regexp.MustCompile(`(?i)\((r|tm|c)\)|\b(cpu|processor|\d+-core)\b|@.*$`)
	notSimple = regexp.MustCompile(`[^a-z0-9]+`)
)

// short names the machine in the name of a folder: amd-epyc-2-cores.
func (m machine) short() string {
	name := notSimple.ReplaceAllString(strings.ToLower(noise.ReplaceAllString(m.CPU, " ")), "-")
	cores := "cores"
	if m.Cores == 1 {
		cores = "core"
	}
	return strings.Trim(fmt.Sprintf("%s-%d-%s", strings.Trim(name, "-"), m.Cores, cores), "-")
}

// versionNumber finds a version in what a program says of itself.
var versionNumber = regexp.MustCompile(`\d+\.\d+[\w.+-]*`)

// saidVersion is the version that a program prints. Some print it and fail.
func saidVersion(ctx context.Context, name, flag string) string {
	path, err := program(name)
	if err != nil {
		return "unknown"
	}
	said, _ := exec.CommandContext(ctx, path, flag).CombinedOutput()
	if v := versionNumber.Find(said); v != nil {
		return string(v)
	}
	return "unknown"
}

func goVersion(context.Context, *ensemble) string { return runtime.Version() }

func nginxVersion(ctx context.Context, _ *ensemble) string {
	return saidVersion(ctx, "nginx", "-v")
}

func varnishVersion(ctx context.Context, _ *ensemble) string {
	return saidVersion(ctx, "varnishd", "-V")
}

// freshetVersion is the commit that is checked out, and whether it was changed since.
func freshetVersion(ctx context.Context, _ *ensemble) string {
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	version := "commit " + strings.TrimSpace(string(commit))
	if changed, _ := exec.CommandContext(ctx, "git", "status", "--porcelain",
		"--untracked-files=no").Output(); len(changed) > 0 {
		version += ", changed"
	}
	return version
}

func fiberVersion(_ context.Context, e *ensemble) string {
	info, err := buildinfo.ReadFile(e.binary)
	if err != nil {
		return "unknown"
	}
	for _, d := range info.Deps {
		if strings.HasPrefix(d.Path, "github.com/gofiber/fiber/") {
			return d.Version
		}
	}
	return "unknown"
}

// tools are the versions of what is no contestant.
func tools(ctx context.Context, chosen []contestant) map[string]string {
	versions := map[string]string{"wrk": saidVersion(ctx, "wrk", "-v")}
	for _, c := range chosen {
		if strings.HasPrefix(c.name, "freshet-redis") {
			versions["redis-server"] = saidVersion(ctx, "redis-server", "--version")
		}
	}
	return versions
}
