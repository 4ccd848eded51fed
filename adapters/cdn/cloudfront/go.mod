module github.com/freshet-go/freshet/adapters/cdn/cloudfront

go 1.26.0

require github.com/freshet-go/freshet v0.0.0

require (
	github.com/aws/aws-sdk-go-v2 v1.48.0
	github.com/aws/smithy-go v1.28.9 // indirect
	github.com/dunglas/httpsfv v1.1.2 // indirect
	github.com/klauspost/compress v1.20.4 // indirect
	github.com/pquerna/cachecontrol v0.2.0 // indirect
)

replace github.com/freshet-go/freshet => ../../..
