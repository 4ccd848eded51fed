package routes

import "strings"

// typesOf are the types that responses have whose path ends in an extension. A rule for *.css is
// for these alone, so that the account page which an app shows at /account/x.css is not taken for a
// stylesheet.
var typesOf = map[string][]string{
	"css": {"text/css"},
	"js":  javascript, "mjs": javascript,
	"json": {"application/json"}, "map": {"application/json", "application/octet-stream"},
	"webmanifest": {"application/manifest+json", "application/json"},
	"xml":         {"application/xml", "text/xml"},
	"rss":         {"application/rss+xml"}, "atom": {"application/atom+xml"},
	"txt": {"text/plain"}, "csv": {"text/csv"}, "pdf": {"application/pdf"},
	"wasm": {"application/wasm"},
	"png":  images, "jpg": images, "jpeg": images, "gif": images, "webp": images, "avif": images,
	"svg": images,
	"ico": images, "bmp": images,
	"woff": fonts, "woff2": fonts, "ttf": fonts, "otf": fonts, "eot": fonts,
	"mp4": videos, "webm": videos, "ogv": videos, "mov": videos, "mkv": videos,
	"mp3": sounds, "ogg": sounds, "oga": sounds, "wav": sounds, "m4a": sounds, "flac": sounds,
	"opus": sounds,
	"zip":  downloads, "gz": downloads, "tgz": downloads, "bz2": downloads, "xz": downloads,
	"zst": downloads,
	"7z":  downloads, "tar": downloads, "deb": downloads, "rpm": downloads, "apk": downloads,
	"iso": downloads,
	"dmg": downloads, "exe": downloads, "msi": downloads, "jar": downloads,
}

var (
	javascript = []string{"text/javascript", "application/javascript", "application/x-javascript"}
	images     = []string{"image/*"}
	videos     = []string{"video/*", "audio/*", "application/octet-stream"}
	sounds     = []string{"audio/*", "application/ogg", "application/octet-stream"}
	fonts      = []string{"font/*", "application/font-woff", "application/font-woff2",
		"application/x-font-ttf",
		"application/x-font-otf", "application/x-font-woff", "application/vnd.ms-fontobject",
		"application/octet-stream"}
	downloads = []string{"application/octet-stream", "application/zip", "application/gzip",
		"application/x-gzip",
		"application/x-tar", "application/x-bzip2", "application/x-xz", "application/zstd",
		"application/x-7z-compressed",
		"application/x-debian-package", "application/vnd.debian.binary-package",
		"application/x-rpm",
		"application/vnd.android.package-archive", "application/x-iso9660-image",
		"application/x-apple-diskimage",
		"application/x-msdownload", "application/x-msi", "application/java-archive",
		"application/x-java-archive"}
)

// impliedTypes returns the types of the responses whose path ends as the pattern does; nil: that is
// not known.
func impliedTypes(g *glob) []string {
	if i := strings.LastIndexByte(g.end, '.'); i >= 0 {
		return typesOf[strings.ToLower(g.end[i+1:])]
	}
	return nil
}
