package main

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
)

// box is where a text lies.
type box struct {
	says                     string
	left, top, right, bottom float64
}

func (b box) overlaps(o box) bool {
	return b.left < o.right && o.left < b.right && b.top < o.bottom && o.top < b.bottom
}

// texts reads a picture as XML and returns its size and where its texts lie.
func texts(t *testing.T, svg string) (width, height float64, boxes []box) {
	t.Helper()
	number := func(e xml.StartElement, name string) float64 {
		for _, a := range e.Attr {
			if a.Name.Local == name {
				v, err := strconv.ParseFloat(a.Value, 64)
				if err != nil {
					t.Fatalf("%s of a %s: %v", name, e.Name.Local, err)
				}
				return v
			}
		}
		t.Fatalf("a %s without %s", e.Name.Local, name)
		return 0
	}
	anchor := func(e xml.StartElement) string {
		for _, a := range e.Attr {
			if a.Name.Local == "text-anchor" {
				return a.Value
			}
		}
		return "start"
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return width, height, boxes
		}
		if err != nil {
			t.Fatalf("not well-formed: %v\n%s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		switch {
		case ok && e.Name.Local == "svg":
			width, height = number(e, "width"), number(e, "height")
		case ok && e.Name.Local == "text":
			var says string
			if err := d.DecodeElement(&says, &e); err != nil {
				t.Fatal(err)
			}
			size := number(e, "font-size")
			x, y, w := number(e, "x"), number(e, "y"), textWidth(says, size)
			switch anchor(e) {
			case "end":
				x -= w
			case "middle":
				x -= w / 2
			}
			boxes = append(boxes, box{says, x, y - 0.8*size, x + w, y + 0.25*size})
		}
	}
}

func TestPicturesAreXMLWithoutOverlaps(t *testing.T) {
	kinds := []kind{floor, ours, other}
	for n := 1; n <= 10; n++ {
		for name, value := range map[string]func(i int) spread{
			"alike": func(i int) spread { return spread{10, 9, 11} },
			"far apart": func(i int) spread {
				v := float64(i*i*i*1000 + 1)
				return spread{v, v / 2, v * 3}
			},
			"all zero":     func(int) spread { return spread{} },
			"tiny":         func(i int) spread { return spread{0.01, 0.009, 0.02} },
			"great, equal": func(int) spread { return spread{1234567, 1234567, 1234567} },
		} {
			for _, format := range []func(float64) string{oneDecimal, thousands, milliseconds} {
				c := chart{title: "What <this> & that costs", subtitle: lessIsBetter,
					axis: "µs & more", unit: " µs", format: format}
				for i := range n {
					b := bar{label: fmt.Sprintf("contestant %d <%s>", i, strings.Repeat("m", i*3)),
						kind: kinds[i%3], value: value(i), note: "1.23 × bare"}
					if i == 7 {
						b.empty, b.note = "failed in all rounds", ""
					}
					c.bars = append(c.bars, b)
				}
				width, height, boxes := texts(t, c.svg())
				if len(boxes) < n+len(legend)+3 {
					t.Errorf("%d %s: only %d texts", n, name, len(boxes))
				}
				for i, a := range boxes {
					if a.left < 0 || a.top < 0 || a.right > width || a.bottom > height {
						t.Errorf("%d %s: %q is cut off", n, name, a.says)
					}
					for _, b := range boxes[i+1:] {
						if a.overlaps(b) {
							t.Errorf("%d %s: %q overlaps %q", n, name, a.says, b.says)
						}
					}
				}
			}
		}
	}
}

func TestThePictureSaysItAll(t *testing.T) {
	r := example()
	for _, p := range r.pictures() {
		svg := p.svg()
		for _, e := range r.Contestants {
			if !strings.Contains(svg, ">"+e.Label+"</text>") {
				t.Errorf("%s does not name %s", p.file, e.Label)
			}
		}
		for _, want := range []string{">" + p.title + "</text>", ">" + p.axis + "</text>",
			"× bare</text>", "failed in all rounds", "url(#hatch)", "better"} {
			if !strings.Contains(svg, want) {
				t.Errorf("%s lacks %q", p.file, want)
			}
		}
	}
	if svg := r.pictures()[0].svg(); strings.Index(svg, ">Freshet, memory<") < strings.Index(svg,
		">nginx proxy_cache<") {
		t.Error("the one that needs most is not below")
	}
}
