package browsertest

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// renew has TestPictures write the pictures of docs anew.
var renew = flag.Bool("pictures", false, "write the pictures of the page in docs anew")

// look has TestStates write a picture of each state, size and scheme.
var look = flag.String("look", "", "a folder for pictures of the page in each of its states")

// pictures are those of the page in docs.
var pictures = []struct {
	name          string
	width, height int64
	scheme        string
}{
	{"door.png", 1280, 1170, "light"},
	{"door-dark.png", 1280, 1170, "dark"},
	{"door-phone.png", 390, 844, "light"},
}

// maxPicture is the most that a picture in docs may have, in bytes.
const maxPicture = 150 << 10

// The pictures in docs are there, and small. With -pictures they are made anew.
func TestPictures(t *testing.T) {
	if *renew {
		draw(t)
	}
	for _, p := range pictures {
		name := filepath.Join("../../../docs", p.name)
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		config, err := png.DecodeConfig(bytes.NewReader(file))
		if err != nil || int64(config.Width) != p.width || len(file) > maxPicture {
			t.Errorf("%s: %d bytes, %d pixels wide, %v: want at most %d bytes and %d pixels", name,
				len(file), config.Width, err, maxPicture, p.width)
		}
	}
}
