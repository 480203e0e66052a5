// Auditor puts questions to Go's checksum-database code (golang.org/x/mod/sumdb): one JSON object a
// line in, one out. An answer is {"ok": true, ...} or {"ok": false, "why": ...}.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

type request struct {
	Do      string   `json:"do"`
	Dir     string   `json:"dir"`
	Keys    []string `json:"keys"`
	Secrets []string `json:"secrets"`
	Name    string   `json:"name"`
	Text    string   `json:"text"`
	Data    []byte   `json:"data"`
	Leaf    []byte   `json:"leaf"`
	Leaves  [][]byte `json:"leaves"`
	Proof   [][]byte `json:"proof"`
	Indices []int64  `json:"indices"`
	Index   int64    `json:"index"`
	Size    int64    `json:"size"`
	Old     int64    `json:"old"`
	Root    []byte   `json:"root"`
	OldRoot []byte   `json:"old_root"`
}

type answer map[string]any

var answers = map[string]func(request) (answer, error){
	"open":        open,
	"note":        open,
	"key":         key,
	"sign":        sign,
	"entries":     entries,
	"tiles":       tiles,
	"prove":       prove,
	"grown":       grown,
	"write":       write,
	"inclusion":   inclusion,
	"consistency": consistency,
	"receipt":     receipt,
}

func main() {
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var asked request
		if err := in.Decode(&asked); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			panic(err)
		}
		do, known := answers[asked.Do]
		if !known {
			panic("no answer to " + asked.Do)
		}
		found, err := do(asked)
		if err != nil {
			found = answer{"ok": false, "why": fmt.Sprint(err)}
		} else {
			found["ok"] = true
		}
		if err := out.Encode(found); err != nil {
			panic(err)
		}
	}
}
