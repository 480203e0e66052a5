package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

// A folder is a log as static files (c2sp.org/tlog-tiles), which writes no height into its paths.
type folder string

func (f folder) path(tile tlog.Tile) string {
	_, below, _ := strings.Cut(strings.TrimPrefix(tile.Path(), "tile/"), "/")
	return filepath.Join(string(f), "tile", strings.Replace(below, "data", "entries", 1))
}

func (f folder) Height() int { return height }

func (f folder) ReadTiles(asked []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range asked {
		data, err := os.ReadFile(f.path(tile))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func (f folder) checkpoint(keys []string) (tlog.Tree, error) {
	data, err := os.ReadFile(filepath.Join(string(f), "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	return checkpoint(data, keys)
}

// leaves reads the entries of a log, none too many and none too few.
func (f folder) leaves(size int64) ([][]byte, error) {
	var found [][]byte
	for start := int64(0); start < size; start += 1 << height {
		width := min(1<<height, size-start)
		tile := tlog.Tile{H: height, L: -1, N: start >> height, W: int(width)}
		data, err := os.ReadFile(f.path(tile))
		if err != nil {
			return nil, err
		}
		for ; width > 0; width-- {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, errors.New("a bundle is too short")
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			found, data = append(found, data[2:end]), data[end:]
		}
		if len(data) > 0 {
			return nil, errors.New("a bundle is too long")
		}
	}
	return found, nil
}

// kept holds the stored hashes of a log in memory.
type kept []tlog.Hash

func (k kept) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		found[i] = k[at]
	}
	return found, nil
}

func stored(leaves [][]byte) (kept, error) {
	var hashes kept
	for n, leaf := range leaves {
		more, err := tlog.StoredHashes(int64(n), leaf, hashes)
		if err != nil {
			return nil, err
		}
		hashes = append(hashes, more...)
	}
	return hashes, nil
}

// entries recomputes the root from the entries alone.
func entries(asked request) (answer, error) {
	tree, err := folder(asked.Dir).checkpoint(asked.Keys)
	if err != nil {
		return nil, err
	}
	leaves, err := folder(asked.Dir).leaves(tree.N)
	if err != nil {
		return nil, err
	}
	hashes, err := stored(leaves)
	if err != nil {
		return nil, err
	}
	root, err := tlog.TreeHash(tree.N, hashes)
	if err == nil && root != tree.Hash {
		err = fmt.Errorf("the entries have the root %s", root)
	}
	return answer{"size": tree.N, "root": root[:]}, err
}

// tiles reads the hash of every leaf through TileHashReader.
func tiles(asked request) (answer, error) {
	tree, err := folder(asked.Dir).checkpoint(asked.Keys)
	if err != nil {
		return nil, err
	}
	reader := tlog.TileHashReader(tree, folder(asked.Dir))
	found := []tlog.Hash{}
	for start := int64(0); start < tree.N; start += 1 << height {
		var indexes []int64
		for n := start; n < min(start+1<<height, tree.N); n++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, n))
		}
		hashes, err := reader.ReadHashes(indexes)
		if err != nil {
			return nil, err
		}
		found = append(found, hashes...)
	}
	return answer{"size": tree.N, "root": tree.Hash[:], "hashes": found}, nil
}

// prove makes inclusion proofs from tiles, and checks each.
func prove(asked request) (answer, error) {
	tree, err := folder(asked.Dir).checkpoint(asked.Keys)
	if err != nil {
		return nil, err
	}
	reader := tlog.TileHashReader(tree, folder(asked.Dir))
	proofs := []tlog.RecordProof{}
	for _, index := range asked.Indices {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			return nil, err
		}
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return nil, err
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, hashes[0]); err != nil {
			return nil, err
		}
		proofs = append(proofs, proof)
	}
	return answer{"size": tree.N, "proofs": proofs}, nil
}

// grown proves from tiles that the log held these smaller trees.
func grown(asked request) (answer, error) {
	tree, err := folder(asked.Dir).checkpoint(asked.Keys)
	if err != nil {
		return nil, err
	}
	reader := tlog.TileHashReader(tree, folder(asked.Dir))
	proofs, roots := []tlog.TreeProof{}, []tlog.Hash{}
	for _, old := range asked.Indices {
		proof, err := tlog.ProveTree(tree.N, old, reader)
		if err != nil {
			return nil, err
		}
		root, err := tlog.TreeHash(old, reader)
		if err != nil {
			return nil, err
		}
		proofs, roots = append(proofs, proof), append(roots, root)
	}
	return answer{"size": tree.N, "proofs": proofs, "roots": roots}, nil
}

// write makes a log as static files.
func write(asked request) (answer, error) {
	hashes, err := stored(asked.Leaves)
	if err != nil {
		return nil, err
	}
	size := int64(len(asked.Leaves))
	for _, tile := range tlog.NewTiles(height, 0, size) {
		data, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			return nil, err
		}
		if err := put(folder(asked.Dir).path(tile), data); err != nil {
			return nil, err
		}
		if tile.L > 0 {
			continue
		}
		data = nil
		for _, leaf := range asked.Leaves[tile.N<<height:][:tile.W] {
			data = append(binary.BigEndian.AppendUint16(data, uint16(len(leaf))), leaf...)
		}
		tile.L = -1
		if err := put(folder(asked.Dir).path(tile), data); err != nil {
			return nil, err
		}
	}
	root, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return nil, err
	}
	data, err := signed(fmt.Sprintf("%s\n%d\n%s\n", asked.Name, size, root), asked.Secrets)
	if err != nil {
		return nil, err
	}
	return answer{"root": root[:]}, put(filepath.Join(asked.Dir, "checkpoint"), data)
}

func put(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

func hashes(found [][]byte) ([]tlog.Hash, error) {
	var read []tlog.Hash
	for _, each := range found {
		if len(each) != tlog.HashSize {
			return nil, errors.New("not a hash")
		}
		read = append(read, tlog.Hash(each))
	}
	return read, nil
}

func inclusion(asked request) (answer, error) {
	read, err := hashes(append(asked.Proof, asked.Root))
	if err != nil {
		return nil, err
	}
	proof, root := read[:len(asked.Proof)], read[len(asked.Proof)]
	err = tlog.CheckRecord(proof, asked.Size, root, asked.Index, tlog.RecordHash(asked.Leaf))
	return answer{}, err
}

func consistency(asked request) (answer, error) {
	read, err := hashes(append(asked.Proof, asked.Root, asked.OldRoot))
	if err != nil {
		return nil, err
	}
	count := len(asked.Proof)
	return answer{}, tlog.CheckTree(read[:count], asked.Size, read[count], asked.Old, read[count+1])
}
