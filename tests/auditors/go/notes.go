package main

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func verifiers(keys []string) (note.Verifiers, error) {
	var known []note.Verifier
	for _, each := range keys {
		verifier, err := note.NewVerifier(each)
		if err != nil {
			return nil, err
		}
		known = append(known, verifier)
	}
	return note.VerifierList(known...), nil
}

func opened(data []byte, keys []string) (*note.Note, error) {
	known, err := verifiers(keys)
	if err != nil {
		return nil, err
	}
	return note.Open(data, known)
}

// checkpoint opens a checkpoint: origin, size and root, a line each.
func checkpoint(data []byte, keys []string) (tlog.Tree, error) {
	found, err := opened(data, keys)
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(found.Text, "\n")
	if len(lines) < 4 || lines[0] != found.Sigs[0].Name {
		return tlog.Tree{}, errors.New("not a checkpoint of this log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || lines[1] != strconv.FormatInt(size, 10) {
		return tlog.Tree{}, errors.New("size of the checkpoint")
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func open(asked request) (answer, error) {
	found, err := opened(asked.Data, asked.Keys)
	if err != nil {
		return nil, err
	}
	signed, unknown := []string{}, []string{}
	for _, each := range found.Sigs {
		signed = append(signed, each.Name)
	}
	for _, each := range found.UnverifiedSigs {
		unknown = append(unknown, each.Name)
	}
	return answer{"text": found.Text, "signed": signed, "unknown": unknown}, nil
}

func key(asked request) (answer, error) {
	secret, public, err := note.GenerateKey(rand.Reader, asked.Name)
	return answer{"secret": secret, "key": public}, err
}

func signed(text string, secrets []string) ([]byte, error) {
	var signers []note.Signer
	for _, each := range secrets {
		signer, err := note.NewSigner(each)
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return note.Sign(&note.Note{Text: text}, signers...)
}

func sign(asked request) (answer, error) {
	data, err := signed(asked.Text, asked.Secrets)
	return answer{"data": data}, err
}

// receipt verifies a .tlog-proof file (c2sp.org/tlog-proof) for a leaf.
func receipt(asked request) (answer, error) {
	head, rest, found := bytes.Cut(asked.Data, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	if !found || len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" {
		return nil, errors.New("not a receipt")
	}
	if strings.HasPrefix(lines[1], "extra ") {
		lines = lines[1:]
	}
	number, numbered := strings.CutPrefix(lines[1], "index ")
	index, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !numbered {
		return nil, errors.New("no index")
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		sibling, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(sibling) != tlog.HashSize {
			return nil, errors.New("not a hash")
		}
		proof = append(proof, tlog.Hash(sibling))
	}
	tree, err := checkpoint(rest, asked.Keys)
	if err != nil {
		return nil, err
	}
	err = tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(asked.Leaf))
	return answer{"index": index, "size": tree.N}, err
}
