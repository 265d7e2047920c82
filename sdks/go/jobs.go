package stemsplitter

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const silence, longestEvent = 40 * time.Second, 16 << 20 // the server sends a comment every 15 seconds

var (
	fileName  = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
	extension = regexp.MustCompile(`\.([a-z0-9]{2,5})(?:\?.*)?$`)
)

// Objects of one kind.
type Objects[T any] struct {
	client *Client
	path   string
}

// Collection of objects of one kind, which is listed in pages.
type Collection[T any] struct{ Objects[T] }

// Filter of a list. The zero value lists all. The ids are those of deliveries.
type Filter struct{ Status, SplitID, EndpointID string }

// Get returns an object.
func (o *Objects[T]) Get(ctx context.Context, id string) (T, error) {
	return get[T](ctx, o.client, o.at(id))
}

// Page returns a page of at most limit objects, newest first. The first page has no cursor.
func (c *Collection[T]) Page(ctx context.Context, limit int, cursor string, filter Filter) (Page[T], error) {
	given := query("limit", fmt.Sprint(limit), "cursor", cursor,
		"status", filter.Status, "splitId", filter.SplitID, "endpointId", filter.EndpointID)
	return get[Page[T]](ctx, c.client, c.path+given)
}

// All iterates over all objects, newest first. It ends after an error.
func (c *Collection[T]) All(ctx context.Context, filter Filter) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for cursor := ""; ; {
			page, err := c.Page(ctx, 100, cursor, filter)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if cursor = page.NextCursor; cursor == "" {
				return
			}
		}
	}
}

func (o *Objects[T]) at(id string) string { return o.path + "/" + url.PathEscape(id) }

func (o *Objects[T]) delete(ctx context.Context, id string) error {
	_, err := call[struct{}](ctx, o.client, "DELETE", o.at(id), nil, message{})
	if wasRepeated(err, ErrNotFound) {
		return nil
	}
	return err
}

// wasRepeated tells whether an error is that of a repeated request: the first response may have been lost.
func wasRepeated(err, kind error) bool { return errors.Is(err, kind) && asError(err).Attempts > 1 }

// Jobs of one kind. All kinds have the same life: queued, processing, then succeeded or failed.
type Jobs struct {
	Collection[Job]
	hasEvents bool
}

// IdempotencyKey of a job, instead of a random one.
type IdempotencyKey string

// Create creates a job, once even if the request is repeated.
func (j *Jobs) Create(ctx context.Context, body Request, key ...IdempotencyKey) (Job, error) {
	return call[Job](ctx, j.client, "POST", j.path, body, message{key: string(append(key, IdempotencyKey(rand.Text()))[0])})
}

// Cancel cancels a job. It fails with the code CANCELED, and its credits are refunded.
func (j *Jobs) Cancel(ctx context.Context, id string) (Job, error) {
	canceled, err := call[Job](ctx, j.client, "POST", j.at(id)+"/cancel", nil, message{})
	if wasRepeated(err, ErrConflict) {
		if found, failed := j.Get(ctx, id); failed == nil && found.Error.Code == "CANCELED" {
			return found, nil
		}
	}
	return canceled, err
}

// Delete deletes an ended job with its files.
func (j *Jobs) Delete(ctx context.Context, id string) error { return j.delete(ctx, id) }

// Download downloads all files of a succeeded job into a folder. It returns the path of each by its name, such as
// folder/vocals.mp3. The files appear together, when all are complete.
func (j *Jobs) Download(ctx context.Context, found Job, folder string) (map[string]string, error) {
	files, paths := map[string]string{}, map[string]string{}
	links := found.Stems
	if links == nil {
		links = found.Outputs
	}
	if found.URL != "" {
		links = map[string]string{"mix": found.URL}
	}
	for name, link := range links {
		if !fileName.MatchString(name) {
			return nil, &Error{Code: "DOWNLOAD_ERROR", Message: fmt.Sprintf("%q is not a file name.", name)}
		}
		file := name + "." + cmp.Or(append(extension.FindStringSubmatch(link), "", "audio")[1:]...)
		files[file], paths[name] = link, filepath.Join(folder, file)
	}
	if found.Status != "succeeded" || len(files) == 0 {
		reason := cmp.Or(found.Error.Message, "its status is "+found.Status)
		return nil, &Error{Code: "DOWNLOAD_ERROR", Message: found.ID + " has no files: " + reason}
	}
	return paths, j.client.http.downloadFiles(ctx, folder, files, http.Header{}, 0)
}

// WaitOptions of Wait. The zero value of each has a default.
type WaitOptions struct {
	Timeout  time.Duration // 5 minutes by default
	Interval time.Duration // between polls; 2 seconds by default
	Update   func(Job)     // called with the job at first and when its status or progress changes
}

// Wait returns the job when it has succeeded or failed. It uses events, and polls where they are not available. Lost
// connections and a restart of the server do not end it. After the timeout it fails with TIMEOUT.
func (j *Jobs) Wait(ctx context.Context, id string, options WaitOptions) (Job, error) {
	deadline := time.Now().Add(cmp.Or(options.Timeout, 5*time.Minute))
	hasEvents, last := j.hasEvents, Job{}
	update := func(found Job) bool {
		if options.Update != nil && (found.Status != last.Status || found.Progress != last.Progress) {
			options.Update(found)
		}
		last = found
		return found.Status == "succeeded" || found.Status == "failed"
	}
	for {
		if hasEvents && time.Until(deadline) > 0 {
			var ended *Job
			if ended, hasEvents = j.follow(ctx, id, deadline, update); ended != nil {
				return *ended, nil
			}
		}
		found, err := j.Get(ctx, id)
		if err == nil && update(found) {
			return found, nil
		}
		if e := asError(err); err != nil && (e == nil || !e.isTemporary() && e.Status < 500) {
			return found, err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return found, &Error{Code: "TIMEOUT", Message: "Timed out waiting for " + id + "."}
		}
		if err := j.client.http.wait(ctx, min(cmp.Or(options.Interval, 2*time.Second), left)); err != nil {
			return found, err
		}
	}
}

// follow reads the events of a job until the stream ends, or the deadline. It returns the job if it has ended, and
// whether the server has events.
func (j *Jobs) follow(ctx context.Context, id string, deadline time.Time, update func(Job) bool) (ended *Job, hasEvents bool) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	m := message{method: "GET", url: j.client.baseURL + j.at(id) + "/events", headers: j.client.headers()}
	m.headers.Set("Accept", "text/event-stream")
	hasEvents = true
	err := j.client.http.exchange(ctx, m, silence, func(response *http.Response) error {
		if hasEvents = strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream"); !hasEvents {
			return nil
		}
		data, lines := []byte(nil), bufio.NewScanner(response.Body)
		lines.Buffer(nil, longestEvent)
		for ended == nil && lines.Scan() {
			if value, ok := bytes.CutPrefix(lines.Bytes(), []byte("data:")); ok {
				data = append(data, value...)
			} else if len(lines.Bytes()) == 0 && len(data) > 0 {
				var found Job
				if json.Unmarshal(data, &found) == nil && update(found) {
					ended = &found
				}
				data = nil
			}
		}
		return lines.Err()
	})
	e := asError(err)
	return ended, hasEvents && (e == nil || e.Status == 0 || e.Status == 401 || e.isTemporary())
}
