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

// Upload uploads the size bytes of a reader, such as a *bytes.Reader, like UploadFile.
func (c *Client) Upload(ctx context.Context, from io.ReaderAt, size int64, options UploadOptions) (*Upload, error) {
	suffix := strings.ToLower(filepath.Ext(options.Filename))
	kind := cmp.Or(options.ContentType, mediaTypes[suffix], mime.TypeByExtension(suffix), "application/octet-stream")
	body := map[string]any{"filename": options.Filename, "contentType": kind, "contentLength": size}
	reserved, err := call[reservation](ctx, c, "POST", "/audio/uploads", body, message{key: rand.Text()})
	if err != nil {
		return nil, err
	}
	token := http.Header{"X-Upload-Token": {reserved.UploadHeaders["X-Upload-Token"]}}
	for offset, failures := int64(0), 0; ; {
		end := min(offset+int64(c.chunkBytes), size)
		if n, err := from.ReadAt(make([]byte, 1), end-1); n == 0 && size > 0 {
			return nil, &Error{Code: "UPLOAD_ERROR", Message: fmt.Sprintf("The data could not be read: %v.", err), Cause: err}
		}
		m := message{method: "PATCH", url: reserved.UploadURL, headers: token.Clone(), body: io.NewSectionReader(from, offset, end-offset)}
		err := c.sendChunk(ctx, m, end == size, &reserved)
		if err == nil && options.Progress != nil {
			options.Progress(end, size)
		}
		if err == nil && end == size {
			input := &Input{Type: "uploaded_file", UploadID: reserved.UploadID, FileURL: reserved.URL, StorageKey: reserved.Key}
			return &Upload{input, reserved.ExpiresAt}, nil
		}
		stored := end
		if err != nil {
			failures++
			if stored, err = c.stored(ctx, reserved.UploadURL, token, err, failures); err != nil {
				return nil, err
			}
		}
		if stored > offset {
			failures = 0
		}
		offset = stored
	}
}

type reservation struct {
	UploadID, UploadURL, ExpiresAt string
	UploadHeaders                  map[string]string
	URL, Key                       string // of the stored file
}

// sendChunk sends a part of a file. After the last part, it sets where the server stored the file.
func (c *Client) sendChunk(ctx context.Context, m message, isLast bool, stored *reservation) error {
	_, offset, _ := m.body.Outer()
	m.headers.Set("Content-Type", "application/partial-upload")
	m.headers.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	m.headers.Set("Upload-Complete", map[bool]string{false: "?0", true: "?1"}[isLast])
	return c.http.exchange(ctx, m, c.http.Timeout, func(response *http.Response) error {
		if !isLast {
			return nil
		}
		return decode(response, stored)
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
	m := message{method: "HEAD", url: url, headers: token}
	err = c.http.request(ctx, m, func(response *http.Response) (err error) {
		offset, err = strconv.ParseInt(response.Header.Get("Upload-Offset"), 10, 64)
		return err
	})
	return offset, err
}

const maxHops = 5

// downloadFiles downloads files by their names into a folder, where they appear together when all are complete.
func (t *transport) downloadFiles(ctx context.Context, folder string, files map[string]string, headers http.Header, timeout time.Duration) error {
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	hidden, err := os.MkdirTemp(folder, ".stems-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(hidden)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		m := message{method: "GET", url: files[name], headers: headers.Clone()}
		if err := t.download(ctx, m, filepath.Join(hidden, name), timeout); err != nil {
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
func (t *transport) download(ctx context.Context, m message, path string, timeout time.Duration) error {
	deadline := time.Now().Add(timeout)
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	written := int64(0)
	for hops := 0; ; {
		var response *http.Response
		err := t.request(ctx, m, func(found *http.Response) error {
			if response = found; found.StatusCode != 200 && found.StatusCode != 206 {
				return nil
			}
			if found.StatusCode == 200 {
				written = 0
			}
			if err := file.Truncate(written); err != nil {
				return err
			}
			received, err := io.Copy(io.NewOffsetWriter(file, written), found.Body)
			written += received
			m.headers.Del("Range")
			m.headers.Del("If-Range")
			if etag := found.Header.Get("ETag"); strings.HasPrefix(etag, `"`) && written > 0 {
				m.headers.Set("Range", fmt.Sprintf("bytes=%d-", written))
				m.headers.Set("If-Range", etag)
			}
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
			m.url, m.headers, hops = location, http.Header{}, hops+1
		default:
			return &Error{Code: "DOWNLOAD_ERROR", Message: fmt.Sprintf("%s: unexpected status %d.", filepath.Base(path), status)}
		}
	}
}
