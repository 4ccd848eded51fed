package rules

import "strings"

// appendForwarded appends what Forwarded (RFC 7239) says of scheme, host and whatever else apps may
// read, without the addresses of the client and the proxies ("for", "by"), which differ for each
// client. An app may cut the field otherwise than we do, so an address is left out only when it is
// made of what addresses are made of and could hide nothing.
func appendForwarded(b []byte, lines []string) []byte {
	b = append(b, " Forwarded"...)
	for _, line := range lines {
		b = append(b, '=')
		for more := true; more; {
			var element string
			element, line, more = strings.Cut(line, ",")
			for any := true; any; {
				var pair string
				pair, element, any = strings.Cut(element, ";")
				if pair = strings.Trim(pair, " \t"); pair != "" && !isAddress(pair) {
					b = appendEscaped(b, pair, inValue)
					b = append(b, ';')
				}
			}
			b = append(b, ',')
		}
	}
	return b
}

// isAddress reports whether a pair is "for" or "by" with nothing but an address or an obfuscated
// name.
func isAddress(pair string) bool {
	name, value, found := strings.Cut(pair, "=")
	if !found || !strings.EqualFold(name, "for") && !strings.EqualFold(name, "by") {
		return false
	}
	if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
		value = value[1 : n-1]
	}
	for i := 0; i < len(value); i++ {
		if c := value[i]; mayStand[c]&inHost == 0 || strings.ContainsRune("!$&'()*+,;=%~",
			rune(c)) {
			return false
		}
	}
	return true
}
