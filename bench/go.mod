module github.com/freshet-go/freshet/bench

go 1.26.0

require github.com/freshet-go/freshet v0.0.0

require (
	github.com/dunglas/httpsfv v1.1.2 // indirect
	github.com/maypok86/otter/v2 v2.4.0 // indirect
	github.com/pquerna/cachecontrol v0.2.0 // indirect
)

replace github.com/freshet-go/freshet => ../
