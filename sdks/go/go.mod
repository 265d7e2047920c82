module github.com/stemsplitter/stemsplitter-go

go 1.24
