module github.com/libmimi/libmimi/bindings/go

go 1.24
