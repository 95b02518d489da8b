module github.com/libmimi/libmimi/bindings/go/examples/voice

go 1.24

require (
	github.com/coder/websocket v1.8.15 // WebSocket: maintained, without dependencies, and its calls take contexts
	github.com/libmimi/libmimi/bindings/go v0.0.0
)

replace github.com/libmimi/libmimi/bindings/go => ../..
