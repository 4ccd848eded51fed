package testserver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A client that goes away, in the middle of its request or before its answer, ends no server.
func TestDynamoDBOutlivesItsClients(t *testing.T) {
	s := DynamoDB(t)
	const body = `{"TableName": "none"}`
	head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: application/x-amz-json-1.0\r\n"+
		"X-Amz-Target: DynamoDB_20120810.DescribeTable\r\nX-Amz-Date: 20260101T000000Z\r\n"+
		"Authorization: AWS4-HMAC-SHA256 Credential=ID/20260101/us-east-1/dynamodb/aws4_request, "+
		"SignedHeaders=host, Signature=00\r\nContent-Length: %d\r\n\r\n", s.Addr, len(body))
	for name, sent := range map[string]string{
		"nothing": "", "half a header": head[:len(head)/2], "a header": head,
		"half a body": head + body[:len(body)/2], "all": head + body,
		"many": strings.Repeat(head+body, 100), "no HTTP": "\x00\x01\r\n\r\n",
	} {
		for _, abort := range []bool{false, true} {
			conn, err := net.Dial("tcp", s.Addr)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if abort {
				conn.(*net.TCPConn).SetLinger(0) // closing resets the connection
			}
			if _, err := conn.Write([]byte(sent)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if !abort { // long enough that the server has begun, where the machine is not busy
				time.Sleep(5 * time.Millisecond)
			}
			conn.Close()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := until(ctx, s.process.done, func() error { return s.kind.ready(ctx, s) }); err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		cancel()
	}
	http.DefaultClient.CloseIdleConnections()
}
