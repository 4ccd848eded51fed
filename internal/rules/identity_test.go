package rules

import (
	"bufio"
	"crypto/tls"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/freshet-go/freshet/policy"
	"github.com/freshet-go/freshet/store"
)

// sentWith is the request that a server makes of these lines.
func sentWith(t *testing.T, lines string) *http.Request {
	t.Helper()
	text := "GET /page HTTP/1.1\r\nHost: www.example.com\r\n" +
		strings.ReplaceAll(strings.TrimSpace(lines), "\n", "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	return r
}

// everyday holds what clients send to everybody, field by field.
var everyday = map[string]string{
	"a client with odd names": `
X--Trace: 1
-: 1
X-Identityofnobodyatall: 1
X-Authenticationless: 1
!: 1`,
	"Chromium 156, a page": `
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9
Connection: keep-alive
Sec-Ch-Ua: "Not:A-Brand";v="8", "Chromium";v="156"
Sec-Ch-Ua-Mobile: ?0
Sec-Ch-Ua-Platform: "Linux"
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: none
Sec-Fetch-User: ?1
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36`,
	"Chromium 156, a film": `
Accept: */*
Accept-Encoding: identity
Accept-Language: en-US,en;q=0.9
Connection: keep-alive
Device-Memory: 16
Downlink: 1.45
Dpr: 1
Ect: 4g
Range: bytes=0-
Referer: http://127.0.0.1:18999/?1
Rtt: 100
Sec-Ch-Device-Memory: 16
Sec-Ch-Prefers-Color-Scheme: light
Sec-Ch-Ua: "Not:A-Brand";v="8", "Chromium";v="156"
Sec-Ch-Ua-Arch: "x86"
Sec-Ch-Ua-Bitness: "64"
Sec-Ch-Ua-Full-Version-List: "Not:A-Brand";v="8.0.0.0", "Chromium";v="156.0.8078.108"
Sec-Ch-Ua-Mobile: ?0
Sec-Ch-Ua-Model: ""
Sec-Ch-Ua-Platform: "Linux"
Sec-Ch-Ua-Platform-Version: ""
Sec-Ch-Viewport-Width: 780
Sec-Fetch-Dest: video
Sec-Fetch-Mode: no-cors
Sec-Fetch-Site: same-origin
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36
Viewport-Width: 780`,
	"Chromium 156, a script": `
Accept: */*
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9
Connection: keep-alive
Device-Memory: 16
Downlink: 1.45
Dpr: 1
Ect: 4g
Referer: http://127.0.0.1:18999/?1
Rtt: 100
Sec-Ch-Device-Memory: 16
Sec-Ch-Prefers-Color-Scheme: light
Sec-Ch-Ua: "Not:A-Brand";v="8", "Chromium";v="156"
Sec-Ch-Ua-Arch: "x86"
Sec-Ch-Ua-Bitness: "64"
Sec-Ch-Ua-Full-Version-List: "Not:A-Brand";v="8.0.0.0", "Chromium";v="156.0.8078.108"
Sec-Ch-Ua-Mobile: ?0
Sec-Ch-Ua-Model: ""
Sec-Ch-Ua-Platform: "Linux"
Sec-Ch-Ua-Platform-Version: ""
Sec-Ch-Viewport-Width: 780
Sec-Fetch-Dest: empty
Sec-Fetch-Mode: cors
Sec-Fetch-Site: same-origin
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36
Viewport-Width: 780
X-Requested-With: XMLHttpRequest`,
	"Chromium 156, a stream of events": `
Accept: text/event-stream
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9
Cache-Control: no-cache
Connection: keep-alive
Device-Memory: 16
Downlink: 1.45
Dpr: 1
Ect: 4g
Pragma: no-cache
Referer: http://127.0.0.1:18999/?1
Rtt: 100
Sec-Ch-Device-Memory: 16
Sec-Ch-Prefers-Color-Scheme: light
Sec-Ch-Ua: "Not:A-Brand";v="8", "Chromium";v="156"
Sec-Ch-Ua-Arch: "x86"
Sec-Ch-Ua-Bitness: "64"
Sec-Ch-Ua-Full-Version-List: "Not:A-Brand";v="8.0.0.0", "Chromium";v="156.0.8078.108"
Sec-Ch-Ua-Mobile: ?0
Sec-Ch-Ua-Model: ""
Sec-Ch-Ua-Platform: "Linux"
Sec-Ch-Ua-Platform-Version: ""
Sec-Ch-Viewport-Width: 780
Sec-Fetch-Dest: empty
Sec-Fetch-Mode: cors
Sec-Fetch-Site: same-origin
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36
Viewport-Width: 780`,
	"Chromium 156, a page that has asked for client hints": `
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9
Connection: keep-alive
Device-Memory: 16
Downlink: 1.75
Dpr: 1
Ect: 4g
Rtt: 200
Sec-Ch-Device-Memory: 16
Sec-Ch-Prefers-Color-Scheme: light
Sec-Ch-Ua: "Not:A-Brand";v="8", "Chromium";v="156"
Sec-Ch-Ua-Arch: "x86"
Sec-Ch-Ua-Bitness: "64"
Sec-Ch-Ua-Full-Version-List: "Not:A-Brand";v="8.0.0.0", "Chromium";v="156.0.8078.108"
Sec-Ch-Ua-Mobile: ?0
Sec-Ch-Ua-Model: ""
Sec-Ch-Ua-Platform: "Linux"
Sec-Ch-Ua-Platform-Version: ""
Sec-Ch-Viewport-Width: 780
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: none
Sec-Fetch-User: ?1
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/156.0.0.0 Safari/537.36
Viewport-Width: 780`,
	"Chromium, what it sends at times": `
Cache-Control: max-age=0
DNT: 1
Sec-GPC: 1
Priority: u=0, i
Sec-Fetch-Storage-Access: active
Save-Data: on
Sec-Purpose: prefetch;prerender
Purpose: prefetch
Origin: https://www.example.com
Access-Control-Request-Headers: x-api-version
Access-Control-Request-Method: GET
Sec-Shared-Storage-Writable: ?1
Sec-Browsing-Topics: ();p=P0000000000000000000000000000000
X-Client-Data: CIa2yQEIpLbJAQ==`,
	"Firefox": `
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Accept-Language: en-GB,en;q=0.5
Accept-Encoding: gzip, deflate, br, zstd
DNT: 1
Sec-GPC: 1
Connection: keep-alive
Upgrade-Insecure-Requests: 1
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: none
Sec-Fetch-User: ?1
Priority: u=0, i
TE: trailers
X-Moz: prefetch`,
	"Safari": `
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Sec-Fetch-Site: none
Sec-Fetch-Mode: navigate
Sec-Fetch-Dest: document
User-Agent: Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15
Accept-Language: en-GB,en;q=0.9
Priority: u=0, i
Accept-Encoding: gzip, deflate, br
Connection: keep-alive`,
	"Apple's media player": `
X-Playback-Session-Id: 0D3A1F55-5B0C-4F5E-9D5C-5E5C2A3C8E11
Range: bytes=0-1
Accept: */*
User-Agent: AppleCoreMedia/1.0.0.21F90 (iPhone; U; CPU OS 17_5_1 like Mac OS X; en_gb)
Accept-Language: en-GB
Accept-Encoding: identity
Connection: keep-alive`,
	"Android WebView, and old mobile browsers": `
X-Requested-With: com.example.app
X-Wap-Profile: http://wap.example/UAprof.xml
X-OperaMini-Phone: Samsung # SM-G900
X-OperaMini-Phone-UA: Mozilla/5.0
X-OperaMini-Features: advanced, file_system
Device-Stock-UA: Mozilla/5.0
X-UCBrowser-UA: dv(SM);pr(UCBrowser)
X-Device-User-Agent: Mozilla/5.0
X-Original-User-Agent: Mozilla/5.0
X-FB-HTTP-Engine: Liger`,
	"curl": `
User-Agent: curl/8.14.1
Accept: */*`,
	"wget": `
User-Agent: Wget/1.25.0
Accept: */*
Accept-Encoding: identity
Connection: Keep-Alive`,
	"Go": `
User-Agent: Go-http-client/1.1
Accept-Encoding: gzip`,
	"Python and Node": `
User-Agent: python-requests/2.32.3
Accept-Encoding: gzip, deflate
Accept: */*
Connection: keep-alive
sec-fetch-mode: cors
accept-language: *
user-agent: node`,
	"gRPC-Web, GraphQL and hypermedia": `
X-User-Agent: grpc-web-javascript/0.1
X-Grpc-Web: 1
Apollo-Require-Preflight: true
Apollographql-Client-Name: web
X-Apollo-Operation-Name: Articles
HX-Request: true
HX-Current-URL: https://www.example.com/
Turbo-Frame: list
X-Inertia: true
X-Inertia-Version: 5f
RSC: 1
Next-Router-State-Tree: %5B%5D
X-Api-Version: 2`,
	"Googlebot": `
Connection: keep-alive
Accept: text/html,application/xhtml+xml,application/signed-exchange;v=b3,application/xml;q=0.9,*/*;q=0.8
From: googlebot(at)googlebot.com
User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)
Accept-Encoding: gzip, deflate, br
If-Modified-Since: Mon, 23 Nov 2026 10:00:00 GMT
AMP-Cache-Transform: google;v="1..8"`,
	"Bing, and a monitor": `
Cache-Control: no-cache
Pragma: no-cache
From: bingbot(at)microsoft.com
User-Agent: Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)
X-Prometheus-Scrape-Timeout-Seconds: 10`,
	"Cloudflare": `
CDN-Loop: cloudflare; loops=1
CF-Connecting-IP: 203.0.113.9
CF-Connecting-IPv6: 2001:db8::1
CF-Pseudo-IPv4: 240.0.0.1
CF-IPCountry: GB
CF-IPCity: London
CF-Region-Code: ENG
CF-Timezone: Europe/London
CF-RAY: 8d1b2c3d4e5f6789-LHR
CF-Visitor: {"scheme":"https"}
CF-EW-Via: 15
CF-Worker: example.com
CF-Bot-Score: 99
CF-Verified-Bot: false
CF-JA3-Hash: 5f
CF-Cert-Presented: false
CF-Cert-Verified: false
CF-Cert-Revoked: false
CF-Cert-Issuer-DN:
CF-Cert-Subject-DN:
CF-Client-Cert-SHA256:
True-Client-IP: 203.0.113.9
X-Forwarded-For: 203.0.113.9
X-Forwarded-Proto: https
Accept-Encoding: gzip, br`,
	"Fastly": `
CDN-Loop: Fastly
Fastly-Client-IP: 203.0.113.9
Fastly-FF: ZiI2Zz!LHR!cache-lhr1
Fastly-SSL: 1
Fastly-Orig-Accept-Encoding: gzip
Fastly-Temp-XFF: 203.0.113.9
Surrogate-Capability: cache-lhr1="ESI/1.0"
X-Forwarded-For: 203.0.113.9
X-Forwarded-Host: www.example.com
X-Forwarded-Server: cache-lhr1
X-Timer: S1732000000.0,VS0
X-Varnish: 12345 54321
X-Varnish-Client-IP: 203.0.113.9`,
	"CloudFront": `
User-Agent: Amazon CloudFront
Via: 2.0 abc.cloudfront.net (CloudFront)
X-Amz-Cf-Id: abc==
X-Forwarded-For: 203.0.113.9
CloudFront-Forwarded-Proto: https
CloudFront-Is-Desktop-Viewer: true
CloudFront-Is-Mobile-Viewer: false
CloudFront-Viewer-Address: 203.0.113.9:4711
CloudFront-Viewer-ASN: 64500
CloudFront-Viewer-Country: GB
CloudFront-Viewer-City: London
CloudFront-Viewer-Http-Version: 2.0
CloudFront-Viewer-TLS: TLSv1.3:TLS_AES_128_GCM_SHA256:fullHandshake
CloudFront-Viewer-JA3-Fingerprint: 5f
CloudFront-Viewer-Header-Order: Host:User-Agent:Accept`,
	"Akamai, Azure and Google in front": `
Akamai-Origin-Hop: 2
X-Akamai-Edgescape: georegion=1,country_code=GB
X-Akamai-Config-Log-Detail: true
X-EdgeConnect-MidMile-RTT: 1
X-ARR-SSL: 2048|256|CN=x
X-ARR-LOG-ID: 5f
X-Azure-ClientIP: 203.0.113.9
X-Azure-FDID: 5f
X-Azure-Ref: 5f
X-Original-Host: www.example.com
X-Site-Deployment-Id: app
Disguised-Host: app.azurewebsites.net
X-Cloud-Trace-Context: 105445aa7843bc8bf206b12000100000/1;o=1
X-Client-Cert-Present: false
X-Client-Cert-Chain-Verified: false
X-Client-Geo-Location: GB,London
Via: 1.1 google
X-AppEngine-Country: GB
X-AppEngine-User-IP: 203.0.113.9
Fly-Client-IP: 203.0.113.9
Fly-Region: lhr
X-Vercel-IP-Country: GB
X-Vercel-Oidc-Token: 5f
X-NF-Account-ID: 5f
X-NF-Client-Connection-IP: 203.0.113.9
Rndr-Id: 5f`,
	"nginx, Envoy and HAProxy in front": `
X-Real-IP: 203.0.113.9
X-Forwarded-For: 203.0.113.9
X-Forwarded-Port: 443
X-Forwarded-Proto: https
X-Forwarded-Scheme: https
X-Scheme: https
X-Request-ID: 5f
X-Original-Forwarded-For: 203.0.113.9
X-Envoy-External-Address: 203.0.113.9
X-Envoy-Expected-Rq-Timeout-Ms: 15000
X-Envoy-Attempt-Count: 1
X-SSL-Protocol: TLSv1.3
X-SSL-Cipher: TLS_AES_128_GCM_SHA256
X-SSL-Client-Verify: NONE
X-Request-Start: t=1732000000
X-Kong-Request-Id: 5f`,
	"tracers": `
traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
tracestate: congo=t61rcWkgMzE
baggage: userId=alice,session=5
sentry-trace: 5f-1
X-B3-TraceId: 5f
X-B3-SpanId: 5f
X-B3-ParentSpanId: 5f
X-B3-Sampled: 1
b3: 5f-5f-1
X-Amzn-Trace-Id: Root=1-5f
uber-trace-id: 5f:5f:0:1
uberctx-user-id: 5
ot-tracer-traceid: 5f
ot-baggage-session: 5
X-Datadog-Trace-Id: 5
X-Datadog-Parent-Id: 5
X-Datadog-Sampling-Priority: 1
X-Datadog-Tags: _dd.p.usr.id=5
newrelic: eyJ2
X-NewRelic-ID: 5f
X-dynaTrace: FW4
X-Instana-T: 5f
X-Correlation-ID: 5f
X-Client-Trace-Id: 5f
Request-Id: |5f.
Request-Context: appId=cid-v1:5f
X-Ms-Client-Request-Id: 5f
MS-CV: 5f.1
elastic-apm-traceparent: 00-5f
grpc-trace-bin: AAB`,
}

// What browsers, robots, CDNs and tracers send to everybody identifies nobody.
func TestOrdinaryFieldsIdentifyNobody(t *testing.T) {
	for client, lines := range everyday {
		r := sentWith(t, lines)
		if q, plan, why := ReadRequest(r, &policy.Policy{}); q.Credentials || plan != PlanLookup {
			t.Errorf("%s: credentials %v, %v because of %q", client, q.Credentials, plan, why)
		}
		for name, values := range r.Header {
			if scan(http.Header{name: values})&sawIdentity != 0 {
				t.Errorf("%s: %s: %q tells who the user is", client, name, values)
			}
		}
	}
}

// Fields in which proxies, gateways and apps' own clients say who the user is.
func TestFieldsThatIdentify(t *testing.T) {
	for _, field := range strings.Fields(`
		Client-Cert Client-Cert-Chain X-Client-Cert X-Forwarded-Client-Cert X-Forwarded-Tls-Client-Cert X-Forwarded-Tls-Client-Cert-Info
		X-SSL-Client-Cert X-SSL-Client-DN X-SSL-Client-S-DN SSL-Client-Serial X-Tls-Client-CN X-ARR-ClientCert SSL_CLIENT_S_DN
		CloudFront-Viewer-Cert-Serial-Number CF-Cert-Subject-DN X-Amzn-Mtls-Clientcert X-Amzn-Mtls-Clientcert-Subject X-Client-Cert-Hash
		X-Forwarded-User X-Forwarded-Email X-Forwarded-Preferred-Username X-Forwarded-Groups X-Forwarded-Access-Token X-Forwarded-Authorization
		X-Auth-Request-User X-Auth-Request-Email X-Auth-Request-Access-Token X-Auth-Request-Preferred-Username X-Auth-Request-Redirect
		Cf-Access-Jwt-Assertion Cf-Access-Authenticated-User-Email Cf-Access-Client-Secret Cf-Access-Token
		X-Goog-Iap-Jwt-Assertion X-Goog-Authenticated-User-Email X-Goog-Authenticated-User-Id X-Serverless-Authorization X-Endpoint-API-UserInfo
		X-Apigateway-Api-Userinfo X-Goog-Api-Key
		X-Amzn-Oidc-Data X-Amzn-Oidc-Identity X-Amzn-Oidc-Accesstoken X-Amz-Security-Token X-Amzn-Ava-User-Context
		X-Ms-Client-Principal X-Ms-Client-Principal-Id X-Ms-Client-Principal-Name X-Ms-Token-Aad-Access-Token X-ZUMO-AUTH Ocp-Apim-Subscription-Key
		X-Functions-Key
		X-Remote-User Remote-User Remote-Email Remote-Groups X-Webauth-User X-Authentik-Username X-Authentik-Jwt X-Authentik-Uid
		Tailscale-User-Login Tailscale-User-Name X-Pomerium-Jwt-Assertion X-Pomerium-Claim-Email X-Vouch-User X-Consumer-Username
		X-Credential-Identifier X-Authenticated-Userid X-Userinfo X-Token-Subject Impersonate-User X-Shib-Session-ID Eppn
		X-Csrf-Token X-Xsrf-Token X-CSRFToken X-Session-Id X-Session Session-Id X-Session-Token X-Access-Token X-User-Token X-User-Id X-User X-Userid
		X-Api-Token Api-Key ApiKey X-ApiKey api_key X-Access-Key Token X-Jwt X-Jwt-Payload X-Auth X-Auth-User X-Authentication X-Original-Authorization
		X-Identity X-Principal X-Account-Id X-Customer-Id X-Username X_User_Id X-Forwarded-Cookie X-Password DPoP Signature
		X-Role X-Roles X-Hasura-Role X-Subject X-Subject-Id X-Ssl-Subject-Dn X-UserToken X-UserRole X-User-Role X-Account X-AccountId X-CustomerId
		X-PrincipalId X-LoginId X-SessionToken X-SessionKey X-RefreshToken Iv-Creds Sm-Universalid X-Authentik-Entitlements Affiliation
		X-Otp X-Github-Otp X-Totp X-Pin X-Card-Pin X-Pass X-Wifi-Pass X-Passkey X-Passcode Passphrase X-Pwd X-Ticket X-Cas-Ticket X-Signature
		X-Hub-Signature-256 X-Sig X-Hmac X-Hmac-Sha256 X-Rapidapi-Key RapidAPI-Key X-App-Key X-AppKey Dd-Application-Key X-Parse-Master-Key
		X-Admin-Key X-License-Key X-Private-Key X-AccessKey X-Telegram-Init-Data Telegram_Init_Data X-InitData`) {
		r := sentWith(t, field+": alice")
		if q, _, _ := ReadRequest(r, &policy.Policy{}); !q.Credentials || q.Authorization {
			t.Errorf("%s: credentials %v, authorization %v", field, q.Credentials, q.Authorization)
		}
		if q, _, _ := ReadRequest(r, &policy.Policy{Credentials: func(*http.Request) bool {
			return false
		}}); q.Credentials {
			t.Errorf("%s counts though the operator says that it does not", field)
		}
		if n := testing.AllocsPerRun(10, func() { scan(r.Header) }); n != 0 {
			t.Errorf("%s: %v allocations", field, n)
		}
	}
}

// A word of a credential is a whole word, and most keys are nobody's: what retries, caches, queues
// and databases go by.
func TestFieldsThatSoundLikeCredentials(t *testing.T) {
	for _, field := range strings.Fields(`
		Idempotency-Key X-Idempotency-Key Cache-Key X-Cache-Key Surrogate-Key X-Varnish-Key X-Routing-Key X-Shard-Key X-Partition-Key
		X-Sort-Key X-Key X-Public-Key X-Correlation-Key X-Request-Key Sec-WebSocket-Key X-Key-Data X-App X-App-Version X-Application
		X-Application-Name X-Master X-Admin X-Private X-Developer X-License X-Init X-Data X-Client-Data X-Data-Init X-Init-Key X-App-Data
		X-Bypass X-Passenger X-Passthrough X-Compass X-Pins X-Pinned X-Spin X-Pinterest X-Ping X-Signal X-Sign X-Design X-Signatures
		X-Ticketing X-Rapidapi-Host X-Rapidapi-Version X-Vercel-Oidc-Token X-Vercel-Proxy-Signature X-Datadog-Signature`) {
		if q, _, _ := ReadRequest(sentWith(t, field+": 4711"), &policy.Policy{}); q.Credentials {
			t.Errorf("%s counts as credentials", field)
		}
	}
}

// A part of the app that many users share is no user, and there are apps for each of which such a
// field is in Vary or in the key.
func TestTenantsAreNoUsers(t *testing.T) {
	for _, field := range []string{"X-Tenant", "X-Tenant-Id", "X-Scope-OrgID", "X-Grafana-Org-Id",
		"X-Workspace", "X-Project-Id"} {
		if q, _, _ := ReadRequest(sentWith(t, field+": acme"), &policy.Policy{}); q.Credentials {
			t.Errorf("%s counts as credentials", field)
		}
	}
}

// Who says that there is nobody says so: an empty value, or no to the question of the name.
func TestFieldsThatSayNobody(t *testing.T) {
	for line, identifies := range map[string]bool{
		"X-Forwarded-User:":                          false,
		"X-Forwarded-User: \t":                       false,
		"X-Forwarded-User: false":                    true,
		"X-Client-Cert-Present: false":               false,
		"X-Client-Cert-Present: true":                true,
		"Cf-Cert-Presented: FALSE":                   false,
		"X-Forwarded-User:\nX-Forwarded-User: alice": true,
		"X-Authenticated: false":                     false,
	} {
		if q, _, _ := ReadRequest(sentWith(t, line), &policy.Policy{}); q.Credentials != identifies {
			t.Errorf("%q: credentials %v", line, q.Credentials)
		}
	}
}

// A field that the operator has put into the key tells responses apart by itself.
func TestIdentityInTheKey(t *testing.T) {
	p := &policy.Policy{Key: policy.KeyOptions{Headers: []string{"x-account-id"}}}
	for lines, identifies := range map[string]bool{
		"X-Account-Id: 5":                        false,
		"X-Account-Id: 5\nX-Forwarded-User: bob": true,
		"X-Account-Id: 5\nCookie: a=b":           true,
		"X-Api-Key: 5":                           true,
	} {
		if q, _, _ := ReadRequest(sentWith(t, lines), p); q.Credentials != identifies {
			t.Errorf("%q: credentials %v", lines, q.Credentials)
		}
	}
	for _, name := range []string{"X-Api-Key", "X-Auth-Token", "Api-Key", "X-Session-Id",
		"Client-Cert"} {
		keyed := &policy.Policy{Key: policy.KeyOptions{Headers: []string{name}}}
		if q, _, _ := ReadRequest(sentWith(t, name+": 5"), keyed); q.Credentials {
			t.Errorf("%s in the key: credentials", name)
		}
	}
	for _, name := range []string{"Cookie", "Proxy-Authorization", "Authorization"} {
		keyed := &policy.Policy{Key: policy.KeyOptions{Headers: []string{name}}}
		if q, _, _ := ReadRequest(sentWith(t, name+": a=b"), keyed); !q.Credentials {
			t.Errorf("%s in the key: no credentials", name)
		}
	}
	r := sentWith(t, "X-Account-Id: 5")
	r.TLS = &tls.ConnectionState{}
	if q, _, _ := ReadRequest(r, p); q.Credentials {
		t.Error("credentials over TLS")
	}
}

func TestWithoutCredentials(t *testing.T) {
	h := sentWith(t, "Cookie: a=b\nAuthorization: Basic x\nProxy-Authorization: "+
		"x\nX-Forwarded-User: bob\nX-Api-Key: 5\nAccept: a\nX-Tenant: t\nX-Client-Cert-Present: "+
		"false").Header
	before := len(h)
	anyone := WithoutCredentials(h)
	if want := (http.Header{"Accept": {"a"}, "X-Tenant": {"t"},
		"X-Client-Cert-Present": {"false"}}); !reflect.DeepEqual(anyone, want) {
		t.Errorf("%v, want %v", anyone, want)
	}
	if len(h) != before {
		t.Error("the request's header was changed")
	}
}

func TestForEveryone(t *testing.T) {
	for control, want := range map[string]bool{"public": true, "s-maxage=5": true,
		"s-maxage=0": false, "max-age=5": false, "must-revalidate": false} {
		e := &store.Entry{Header: http.Header{"Cache-Control": {control}}}
		if got := ForEveryone(e, &policy.Policy{}); got != want {
			t.Errorf("%s: %v", control, got)
		}
		if !ForEveryone(e, &policy.Policy{Shared: true}) {
			t.Errorf("%s, shared: not for everyone", control)
		}
	}
	aimed := &store.Entry{Header: http.Header{"Cache-Control": {"public"},
		"Cdn-Cache-Control": {"max-age=5"}}}
	if ForEveryone(aimed, &policy.Policy{}) {
		t.Error("what CDN-Cache-Control replaces counts")
	}
}
