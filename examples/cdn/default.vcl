vcl 4.1;

# Varnish in front of an app with Freshet: on Debian, /etc/varnish/default.vcl, with the package
# varnish-modules. Yours are the app's addresses, PURGE_KEY, and who may purge ("acl purgers").

import directors;
import std;

# The processes of the app, asked in turn.
backend one { .host = "127.0.0.1"; .port = "8081"; }
backend two { .host = "127.0.0.1"; .port = "8082"; }

sub vcl_init {
	new app = directors.round_robin();
	app.add_backend(one);
	app.add_backend(two);
}

sub vcl_recv {
	set req.backend_hint = app.backend();
	# Varnish's own rules follow those at the end: a method other than GET and HEAD, and a request
	# with Cookie or Authorization, passes to the app, and its answer is not kept.
}

sub vcl_backend_response {
	# Varnish would keep for two minutes what the app gives no lifetime.
	if (!beresp.http.Cache-Control && !beresp.http.Expires && !beresp.http.CDN-Cache-Control) {
		set beresp.ttl = 0s;
	}
	# And it would serve each page for ten seconds past its time.
	if (beresp.http.Cache-Control !~ "stale-while-revalidate") {
		set beresp.grace = 0s;
	}
	# For so long past its time a page stays to be revalidated: Varnish asks with If-None-Match, and
	# Freshet answers 304. So it is with pages that a soft purge has made stale.
	set beresp.keep = 1h;
}

sub vcl_deliver {
	if (obj.hits > 0) {
		set resp.http.X-Cache-Status = "HIT";
		set resp.http.Front-Status = "Varnish; hit";
	} else {
		set resp.http.X-Cache-Status = "MISS";
		if (obj.uncacheable) {
			set resp.http.Front-Status = "Varnish; fwd=bypass";
		} else {
			set resp.http.Front-Status = "Varnish; fwd=miss";
		}
	}
	# Behind what Freshet said when Varnish asked it: the last member is the cache that is next to the
	# client (RFC 9211 section 2).
	std.collect(resp.http.Cache-Status, ", ");
	if (resp.http.Cache-Status) {
		set resp.http.Cache-Status = resp.http.Cache-Status + ", " + resp.http.Front-Status;
	} else {
		set resp.http.Cache-Status = resp.http.Front-Status;
	}
	unset resp.http.Front-Status;
}

# From here on it is varnish.VCL of adapters/cdn/varnish: purges, the lifetime in
# CDN-Cache-Control, and no tags to clients.
import std;
import xkey;

acl purgers { "localhost"; }

sub vcl_recv {
	if (req.method == "PURGE" || req.method == "BAN") {
		if (client.ip !~ purgers || req.http.Purge-Key != "PURGE_KEY") {
			return (synth(403, "Forbidden"));
		}
		if (req.method == "BAN") {
			if (std.ban(req.http.Freshet-Ban)) {
				return (synth(200, "Banned"));
			}
			return (synth(400, "No Ban"));
		}
		if (req.http.Xkey && req.http.Freshet-Soft) {
			set req.http.n-gone = xkey.softpurge(req.http.Xkey);
			return (synth(200, "Invalidated " + req.http.n-gone));
		}
		if (req.http.Xkey) {
			set req.http.n-gone = xkey.purge(req.http.Xkey);
			return (synth(200, "Invalidated " + req.http.n-gone));
		}
		return (purge);
	}
	unset req.http.Purge-Key;
}

sub vcl_backend_response {
	if (beresp.http.CDN-Cache-Control ~ "(?i)no-store") {
		set beresp.uncacheable = true;
		set beresp.ttl = 120s;
		return (deliver);
	}
	if (beresp.http.CDN-Cache-Control ~ "(?i)(^|[ ,])max-age=[0-9]+" &&
		!beresp.http.Set-Cookie && beresp.http.Vary !~ "[*]") {
		set beresp.ttl = std.duration(regsub(beresp.http.CDN-Cache-Control,
			"(?i)^(.*[ ,])?max-age=([0-9]+).*$", "\2") + "s", 0s) -
			std.duration(beresp.http.Age + "s", 0s);
		return (deliver);
	}
}

sub vcl_deliver {
	unset resp.http.Xkey;
	unset resp.http.CDN-Cache-Control;
}
