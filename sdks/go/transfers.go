package stemsplitter

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxUploadFailures = 10 // without progress: the server needs up to a minute to detect that a connection was lost

var temporaryCodes = []string{"UPLOAD_INCOMPLETE", "UPLOAD_IN_PROGRESS", "UPLOAD_OFFSET_MISMATCH"}

var mediaTypes = map[string]string{
	".flac": "audio/flac", ".m4a": "audio/mp4", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".wav": "audio/wav",
}

// UploadOptions of UploadFile and Upload.
type UploadOptions struct {
	Filename, ContentType string // from the path by default
	Progress              func(sent, size int64)
}

// Upload is an uploaded file.
type Upload struct {
	Input     *Input // of a job
	ExpiresAt string
}

// UploadFile uploads a file in chunks; it continues after a lost connection.
func (c *Client) UploadFile(ctx context.Context, path string, options UploadOptions) (*Upload, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	options.Filename = cmp.Or(options.Filename, filepath.Base(path))
	return c.Upload(ctx, file, info.Size(), options)
}

// Upload uploads the size bytes of a reader, like UploadFile. It keeps one chunk in memory.
func (c *Client) Upload(ctx context.Context, from io.Reader, size int64, options UploadOptions) (*Upload, error) {
	suffix := strings.ToLower(filepath.Ext(options.Filename))
	kind := cmp.Or(options.ContentType, mediaTypes[suffix], mime.TypeByExtension(suffix), "application/octet-stream")
	body := map[string]any{"filename": options.Filename, "contentType": kind, "contentLength": size}
	reserved, err := call[reservation](ctx, c, request{method: "POST", path: "/audio/uploads", body: body, key: rand.Text()})
	if err != nil {
		return nil, err
	}
	sent := struct{ URL, Key string }{}
	headers := http.Header{"X-Upload-Token": {reserved.UploadHeaders["X-Upload-Token"]}}
	data := &chunks{reader: from, size: size, buffer: make([]byte, min(int64(c.chunkBytes), size))}
	for failures := 0; ; {
		if err := data.fill(); err != nil {
			return nil, &Error{Code: "UPLOAD_ERROR", Message: "The data could not be read: " + err.Error(), Cause: err}
		}
		end := data.offset + int64(len(data.chunk))
		err := c.sendChunk(ctx, reserved.UploadURL, headers, data.offset, data.chunk, end == size, &sent)
		if err == nil && options.Progress != nil {
			options.Progress(end, size)
		}
		if err == nil && end == size {
			input := &Input{Type: "uploaded_file", UploadID: reserved.UploadID, FileURL: sent.URL, StorageKey: sent.Key}
			return &Upload{input, reserved.ExpiresAt}, nil
		}
		stored := end
		if err != nil {
			failures++
			if stored, err = c.stored(ctx, reserved.UploadURL, headers, err, failures); err != nil {
				return nil, err
			}
		}
		if stored > data.offset {
			failures = 0
		}
		if err := data.skipTo(stored); err != nil {
			return nil, err
		}
	}
}

type reservation struct {
	UploadID, UploadURL, ExpiresAt string
	UploadHeaders                  map[string]string
}

func (c *Client) sendChunk(
	ctx context.Context, url string, token http.Header, offset int64, chunk []byte, isLast bool, sent any,
) error {
	headers := token.Clone()
	headers.Set("Content-Type", "application/partial-upload")
	headers.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	headers.Set("Upload-Complete", map[bool]string{false: "?0", true: "?1"}[isLast])
	return c.http.exchange(ctx, "PATCH", url, headers, chunk, c.http.Timeout, func(response *http.Response) error {
		if !isLast {
			return nil
		}
		return decode(response, sent)
	})
}

// stored returns the offset at which an upload continues after an error.
func (c *Client) stored(ctx context.Context, url string, token http.Header, err error, failures int) (offset int64, _ error) {
	e := asError(err)
	if e == nil || failures > maxUploadFailures || !e.isTemporary() && !slices.Contains(temporaryCodes, e.Code) {
		return 0, err
	}
	if e.Code != "UPLOAD_OFFSET_MISMATCH" {
		if err := c.http.pause(ctx, failures, e); err != nil {
			return 0, err
		}
	}
	get := func() http.Header { return token }
	err = c.http.request(ctx, "HEAD", url, get, nil, true, func(response *http.Response) (err error) {
		offset, err = strconv.ParseInt(response.Header.Get("Upload-Offset"), 10, 64)
		return err
	})
	return offset, err
}

// chunks reads chunks of a reader, and keeps what the server may not have stored.
type chunks struct {
	reader        io.Reader
	size, offset  int64 // of the data, of the chunk
	chunk, buffer []byte
}

// fill reads until the chunk has its size.
func (s *chunks) fill() error {
	kept := copy(s.buffer, s.chunk)
	s.chunk = s.buffer[:min(int64(len(s.buffer)), s.size-s.offset)]
	_, err := io.ReadFull(s.reader, s.chunk[min(kept, len(s.chunk)):])
	return err
}

// skipTo moves the chunk to the offset that the server has.
func (s *chunks) skipTo(offset int64) error {
	from := offset - s.offset
	s.offset = offset
	if from >= 0 && from <= int64(len(s.chunk)) {
		s.chunk = s.chunk[from:]
		return nil
	}
	s.chunk = nil
	if file, ok := s.reader.(io.Seeker); ok {
		_, err := file.Seek(offset, io.SeekStart)
		return err
	}
	return &Error{Code: "UPLOAD_ERROR", Message: "The server lost a part of the data."}
}

const maxHops = 5

type source struct {
	url     string
	headers http.Header
}

// downloadFiles downloads files by their names into a folder, where they appear together when all are complete.
func (t *transport) downloadFiles(ctx context.Context, folder string, files map[string]source, timeout time.Duration) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	hidden, err := os.MkdirTemp(folder, ".stems-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(hidden)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.download(ctx, files[name], filepath.Join(hidden, name), timeout); err != nil {
			return err
		}
	}
	for name := range files {
		if err := os.Rename(filepath.Join(hidden, name), filepath.Join(folder, name)); err != nil {
			return err
		}
	}
	return nil
}

// download downloads into a file and verifies its length. It continues after a lost connection, waits until the server
// has made the file, and follows redirects without the key.
func (t *transport) download(ctx context.Context, from source, path string, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	etag, written := "", int64(0)
	ranged := func() http.Header {
		all := from.headers.Clone()
		if etag != "" && written > 0 {
			all.Set("Range", fmt.Sprintf("bytes=%d-", written))
			all.Set("If-Range", etag)
		}
		return all
	}
	for hops := 0; ; {
		var response *http.Response
		err := t.request(ctx, "GET", from.url, ranged, nil, true, func(found *http.Response) error {
			if response = found; found.StatusCode != 200 && found.StatusCode != 206 {
				return nil
			}
			if etag = found.Header.Get("ETag"); !strings.HasPrefix(etag, `"`) {
				etag = ""
			}
			if found.StatusCode == 200 {
				written = 0
			}
			if err := file.Truncate(written); err != nil {
				return err
			}
			received, err := io.Copy(io.NewOffsetWriter(file, written), found.Body)
			written += received
			return err
		})
		if errors.Is(err, ErrConnection) {
			return &Error{Code: "DOWNLOAD_ERROR", Message: filepath.Base(path) + " was not received completely.", Cause: err}
		}
		if err != nil {
			return err
		}
		location := response.Header.Get("Location")
		switch status := response.StatusCode; {
		case status == 200 || status == 206:
			return file.Close()
		case status == 202 && !time.Now().Before(deadline):
			return &Error{Code: "TIMEOUT", Message: "Timed out waiting for " + filepath.Base(path) + "."}
		case status == 202:
			if err := t.wait(ctx, max(retryAfter(response), time.Second)); err != nil {
				return err
			}
		case location != "" && hops < maxHops:
			from, hops = source{location, http.Header{}}, hops+1
		default:
			return &Error{Code: "DOWNLOAD_ERROR", Message: fmt.Sprintf("%s: unexpected status %d.", filepath.Base(path), status)}
		}
	}
}
