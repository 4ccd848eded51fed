package policy

import (
	"maps"
	"net/http"
	"strings"
)

// AnalyticsCookies returns patterns for Policy.IgnoreCookies: the cookies of common analytics and
// advertising scripts, of consent banners, and of CDNs and load balancers in front. Scripts in the browser read
// them, or servers in front of the app; a handler hardly ever does. Leave out what a handler of yours reads.
//
//	Google            __utm* _ga _ga_* _gac_* _gat* _gcl_* _gid _dc_gtm_* __gads __gpi*
//	Meta, TikTok, …   _fbc _fbp _ttp _tt_* ttcsid* _pin_unauth _rdt_* _scid* _sctr _twpid li_fat_id
//	Microsoft         _clck _clsk _uet*
//	others            _hj* _pk_* _ym_* _hp2_* _vwo_* _vis_opt_* _dd_s* _ce.* ajs_* AMP_* amplitude_id*
//	                  AMCV_* AMCVS_* __hs* hubspotutk fs_uid fs_lua ph_phc_*
//	consent banners   CookieConsent cookieconsent_status cookieyes-consent cookielawinfo-*
//	                  viewed_cookie_policy cookie_notice_accepted cc_cookie OptanonConsent
//	                  OptanonAlertBoxClosed euconsent-v2 eupubconsent-v2 usprivacy didomi_token
//	                  _iub_cs-* cmplz_* borlabs-cookie axeptio_* tarteaucitron klaro mtm_consent*
//	in front          __cf_bm __cflb _cfuvid cf_clearance AWSALB*
func AnalyticsCookies() []string {
	return []string{
		"__utm*", "_ga", "_ga_*", "_gac_*", "_gat*", "_gcl_*", "_gid", "_dc_gtm_*", "__gads", "__gpi*",
		"_fbc", "_fbp", "_ttp", "_tt_*", "ttcsid*", "_pin_unauth", "_rdt_*", "_scid*", "_sctr", "_twpid", "li_fat_id",
		"_clck", "_clsk", "_uet*",
		"_hj*", "_pk_*", "_ym_*", "_hp2_*", "_vwo_*", "_vis_opt_*", "_dd_s*", "_ce.*", "ajs_*", "AMP_*", "amplitude_id*",
		"AMCV_*", "AMCVS_*", "__hs*", "hubspotutk", "fs_uid", "fs_lua", "ph_phc_*",
		"CookieConsent", "cookieconsent_status", "cookieyes-consent", "cookielawinfo-*",
		"viewed_cookie_policy", "cookie_notice_accepted", "cc_cookie", "OptanonConsent",
		"OptanonAlertBoxClosed", "euconsent-v2", "eupubconsent-v2", "usprivacy", "didomi_token",
		"_iub_cs-*", "cmplz_*", "borlabs-cookie", "axeptio_*", "tarteaucitron", "klaro", "mtm_consent*",
		"__cf_bm", "__cflb", "_cfuvid", "cf_clearance", "AWSALB*",
	}
}

// maxCookies and maxCookieBytes bound the Cookie fields out of which cookies are ignored, so that a client's
// megabyte of cookies costs no time. Browsers send at most 180 cookies to a site, and servers take 8 KiB.
const (
	maxCookies     = 256
	maxCookieBytes = 16 << 10
)

// WithoutIgnoredCookies returns r as the cache and the handlers of its runs see it: without the cookies that
// p.IgnoreCookies lists. It is r itself when there are none, and otherwise a copy with a header of its own;
// r is not modified.
//
// Cookie fields that do not read like those of a browser are left as they are, with all their cookies: they
// have a control or an open quote, so that handlers could cut them elsewhere than the cache does, or are
// too many or too long.
func WithoutIgnoredCookies(r *http.Request, p *Policy) *http.Request {
	if len(p.IgnoreCookies) == 0 {
		return r
	}
	return p.withoutIgnored(r)
}

func (p *Policy) withoutIgnored(r *http.Request) *http.Request {
	lines := r.Header["Cookie"]
	if len(lines) == 0 {
		return r
	}
	kept, dropped := p.keepCookies(lines)
	if !dropped {
		return r
	}
	seen := new(http.Request)
	*seen = *r
	seen.Header = maps.Clone(r.Header)
	if len(kept) == 0 {
		delete(seen.Header, "Cookie")
	} else {
		seen.Header["Cookie"] = kept
	}
	return seen
}

// keepCookies returns the lines of a Cookie field without the ignored cookies. dropped is false when there are
// none, or when the field cannot be read; then kept means nothing.
func (p *Policy) keepCookies(lines []string) (kept []string, dropped bool) {
	count, size := 0, 0
	for _, line := range lines {
		if size += len(line); size > maxCookieBytes {
			return nil, false
		}
		var left []string
		for pair := range strings.SplitSeq(line, ";") {
			if pair = trimOWS(pair); pair == "" {
				continue
			}
			if count++; count > maxCookies || !plainCookie(pair) {
				return nil, false
			}
			if p.ignores(cookieName(pair)) {
				dropped = true
			} else {
				left = append(left, pair)
			}
		}
		if len(left) > 0 {
			kept = append(kept, strings.Join(left, "; "))
		}
	}
	return kept, dropped
}

func cookieName(pair string) string {
	name, _, _ := strings.Cut(pair, "=")
	return trimOWS(name)
}

// ignores reports whether a cookie is ignored. One without a name never is, and neither is one that makes
// its request pass.
func (p *Policy) ignores(name string) bool {
	return isToken(name) && listed(p.IgnoreCookies, name) && !listed(p.PassCookies, name)
}

// plainCookie reports whether every handler takes what stands between two ";" for one cookie: it has no
// controls, and no quote is open at its end. Commas, spaces, braces and quotes in pairs, which RFC 6265 section
// 4.1.1 forbids, are common in the values of consent banners.
func plainCookie(pair string) bool {
	open, quoted, escaped := false, false, false
	for i := range len(pair) {
		switch c := pair[i]; {
		case c < ' ' && c != '\t' || c == 0x7f:
			return false
		case c == '"':
			open, quoted = !open, true
		case c == '\\':
			escaped = true
		}
	}
	return !open && !(quoted && escaped)
}

// passesByCookie reports whether a request has a cookie that p.PassCookies lists, wherever a handler could
// find one: at ";" and ",", and within quotes.
func (p *Policy) passesByCookie(h http.Header) bool {
	if len(p.PassCookies) == 0 {
		return false
	}
	for _, line := range h["Cookie"] {
		for pair := range strings.FieldsFuncSeq(line, func(c rune) bool { return c == ';' || c == ',' || c == '"' }) {
			name, _, _ := strings.Cut(pair, "=")
			if name = strings.TrimSpace(name); name != "" && listed(p.PassCookies, name) {
				return true
			}
		}
	}
	return false
}
