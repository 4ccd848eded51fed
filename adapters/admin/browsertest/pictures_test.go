package browsertest

import (
	"fmt"
	"os"

	"github.com/chromedp/chromedp"
)

func (o *operator) picture(name, scheme string, width int64) {
	shot, err := chromedp.Run(o.ctx, chromedp.FullScreenshot(100))
	o.must(err)
	os.WriteFile(fmt.Sprintf("/tmp/shots/%s-%s-%d.png", name, scheme, width), shot, 0o600)
}
