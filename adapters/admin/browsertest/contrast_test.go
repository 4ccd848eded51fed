package browsertest

import "fmt"

// measure has the functions that work out contrasts, as WCAG 2.2 defines them, from the styles
// that the browser computed. A background that is partly transparent lies on those behind it.
const measure = `
	const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
	const rgba = (colour) => {
		canvas.clearRect(0, 0, 1, 1);
		canvas.fillStyle = colour;
		canvas.fillRect(0, 0, 1, 1);
		const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
		return [r, g, b, a / 255];
	};
	const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
	const ground = (e) => {
		const own = rgba(getComputedStyle(e).backgroundColor);
		if (own[3] === 1) return own;
		return over(own, e.parentElement ? ground(e.parentElement) : [255, 255, 255, 1]);
	};
	const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) =>
		v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
	const contrast = (a, b) => {
		const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
		return (x + 0.05) / (y + 0.05);
	};
	const name = (e) => e.tagName + '#' + e.id + '.' + e.getAttribute('class') + ' ' +
		(e.innerText || e.textContent || e.value || '').slice(0, 40);
	const seen = (e) => e.checkVisibility({visibilityProperty: true}) && !e.disabled;
`

// contrasts fails for each text that is hard to read on what is behind it (WCAG 2.2, 1.4.3, AA),
// and for each field and button whose edge is hard to see (1.4.11).
func (o *operator) contrasts() {
	o.t.Helper()
	type found struct {
		Texts, Edges int
		Faint        []string
	}
	f := eval[found](o, `(() => {`+measure+`
		const found = {Texts: 0, Edges: 0, Faint: []};
		const check = (what, e, colour, behind, least) => {
			const c = contrast(over(rgba(colour), behind), behind);
			if (c < least) found.Faint.push(what + ' ' + c.toFixed(2) + ' < ' + least + ': ' + name(e));
		};
		for (const e of document.querySelectorAll('body, body *')) {
			const style = getComputedStyle(e);
			const field = e.matches('input:not([type=checkbox]), select, textarea');
			const words = field ? e.value : [...e.childNodes].some((n) =>
				n.nodeType === Node.TEXT_NODE && n.data.trim());
			if (!seen(e)) continue;
			if (words) {
				const size = parseFloat(style.fontSize);
				const large = size >= 24 || size >= 18.66 && style.fontWeight >= 700;
				found.Texts++;
				check('text', e, e instanceof SVGElement ? style.fill : style.color, ground(e),
					large ? 3 : 4.5);
			}
			if (field) {
				found.Edges++;
				check('edge', e, style.borderTopColor, ground(e.parentElement), 3);
			}
			if (e.matches('button:not(.page)')) {
				found.Edges++;
				const own = contrast(ground(e), ground(e.parentElement));
				if (own < 3) check('edge', e, style.borderTopColor, ground(e.parentElement), 3);
			}
		}
		return found;
	})()`)
	if f.Texts < 40 || f.Edges < 5 {
		o.t.Errorf("only %d texts and %d edges were found", f.Texts, f.Edges)
	}
	for _, faint := range f.Faint {
		o.t.Error(faint)
	}
}

// focus is what has the keyboard's focus.
type focus struct {
	Name    string
	Order   int     // among the elements of the page; -1: none has it
	Width   float64 // of its outline, in pixels
	Clear   float64 // the contrast of its outline with what is around it
	Visible bool    // it lies within the window
}

func (o *operator) focus() focus {
	o.t.Helper()
	return eval[focus](o, `(() => {`+measure+`
		const e = document.activeElement, style = getComputedStyle(e), box = e.getBoundingClientRect();
		return {
			Name: name(e), Order: e === document.body ? -1 : [...document.querySelectorAll('*')].indexOf(e),
			Width: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth),
			Clear: contrast(rgba(style.outlineColor), ground(e.parentElement)),
			Visible: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth,
		};
	})()`)
}

// tabsTo presses Tab until an element has the focus.
func (o *operator) tabsTo(selector string) {
	o.t.Helper()
	for range 200 {
		if eval[bool](o, fmt.Sprintf("document.activeElement.matches(%q)", selector)) {
			return
		}
		o.types("\t")
	}
	o.t.Fatalf("Tab does not get to %s", selector)
}
