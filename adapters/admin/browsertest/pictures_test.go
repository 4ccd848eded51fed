package browsertest

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/freshet-go/freshet"
	"github.com/freshet-go/freshet/internal/testserver"
	"github.com/freshet-go/freshet/middleware"
	"github.com/freshet-go/freshet/store/guardstore"
	"github.com/freshet-go/freshet/store/open"
)

// renew has TestPictures write the pictures of docs anew.
var renew = flag.Bool("pictures", false, "write the pictures of the page in docs anew")

// look has the tests write pictures of the page, in each state, size and scheme.
var look = flag.String("look", "", "a folder for pictures of the page in each of its states")

// picture writes a picture of the whole page for -look.
func (o *operator) picture(name string) {
	o.t.Helper()
	if *look == "" {
		return
	}
	shot, err := chromedp.Run(o.ctx, chromedp.FullScreenshot(100))
	o.must(err)
	o.must(os.WriteFile(filepath.Join(*look, strings.ReplaceAll(name, " ", "-")+".png"), shot, 0o600))
}

// docs has the pictures, and maxPicture is the most that one may have, in bytes.
const (
	docs       = "../../../docs"
	maxPicture = 150 << 10
)

// The pictures in docs are small. With -pictures they are made anew, in a minute and a half: of an
// app with traffic, and of the same on a phone when its store fails.
func TestPictures(t *testing.T) {
	if *renew {
		takePictures(t)
	}
	for _, name := range []string{"door.png", "door-phone.png"} {
		file, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := png.DecodeConfig(bytes.NewReader(file)); err != nil || len(file) > maxPicture {
			t.Errorf("%s: %d bytes, %v: at most %d are allowed", name, len(file), err, maxPicture)
		}
	}
}

func takePictures(t *testing.T) {
	server := testserver.Redis(t)
	proxy := testserver.Proxy(t, server.Addr)
	pages, err := open.URL(t.Context(), "redis://"+proxy.Addr, open.Options{
		Guard: guardstore.Options{Timeout: patience, SetTimeout: patience},
		Log:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pages.Close() })
	s := newSite(t, freshet.Options{}, pages)
	s.takes = 30 * time.Millisecond
	desk := visitDoorAt(t, s, "", 1280, "light")
	phone := visitDoorAt(t, s, "", 390, "dark")
	ctx, stop := context.WithCancel(t.Context())
	var visitors sync.WaitGroup
	for range 8 {
		visitors.Go(func() { s.visitFor(ctx) })
	}
	desk.waits("parseFloat(document.querySelector('#traffic text:nth-last-of-type(2)').textContent) >= 80")
	desk.photographs("door.png", 1280, 1260, 1)
	proxy.Refuse()
	proxy.Drop()
	phone.reads("#state", "redis does not answer")
	phone.reads("#state", "The journal of invalidations is out of touch")
	phone.asks(5)
	phone.photographs("door-phone.png", 390, 844, 2)
	stop()
	visitors.Wait()
}

// visitFor asks for pages until ctx is done: for some of them more often than for others.
func (s *site) visitFor(ctx context.Context) {
	ports := []string{"dover", "calais", "brest", "vigo", "leith", "oban", "cork", "bergen"}
	for ctx.Err() == nil {
		port := ports[int(float64(len(ports))*rand.Float64()*rand.Float64())]
		switch n := rand.IntN(100); {
		case n < 3:
			s.ask("GET", "/tides/"+port, "Cookie", "id=1")
		case n < 8:
			s.visit("/cart")
		case n < 9:
			s.ask("POST", "/comments")
		case n < 10:
			s.cache.InvalidateURL(ctx, "http://"+s.address+"/tides/"+port, middleware.Soft)
		case n < 20:
			s.visit(fmt.Sprint("/news/", rand.IntN(1000)))
		case n < 23:
			s.visit("/validated/prices")
		default:
			s.visit("/tides/" + port)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(100)) * time.Millisecond):
		}
	}
}

// photographs writes a picture of what the window shows, with 256 colours.
func (o *operator) photographs(name string, width, height int64, scale float64) {
	o.t.Helper()
	o.must(chromedp.Do(o.ctx, chromedp.EmulateViewport(width, height, chromedp.EmulateScale(scale))))
	eval[bool](o, "(scrollTo(0, 0), true)")
	o.asks(2)
	shot, err := chromedp.Run(o.ctx, chromedp.CaptureScreenshot())
	o.must(err)
	picture, err := png.Decode(bytes.NewReader(shot))
	o.must(err)
	var small bytes.Buffer
	o.must((&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColours(picture)))
	o.must(os.WriteFile(filepath.Join(docs, name), small.Bytes(), 0o644))
}

// fewColours returns a picture in its 256 most frequent colours.
func fewColours(picture image.Image) image.Image {
	counts := map[color.Color]int{}
	box := picture.Bounds()
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int {
		return counts[b] - counts[a]
	})
	few := image.NewPaletted(box, color.Palette(colours[:min(len(colours), 256)]))
	draw.Draw(few, box, picture, box.Min, draw.Src)
	return few
}
