package stemsplitter

// Behavior that is particular to Go; the conformance suite tests the rest.

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, handler http.HandlerFunc, options Options) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	options.APIKey, options.BaseURL = "key", server.URL+"/v1/"
	client, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func answer(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

func TestMissingKeyIsReported(t *testing.T) {
	t.Setenv("STEMSPLITTER_KEY", "")
	_, err := New(Options{BaseURL: "http://x"})
	if !errors.Is(err, &Error{Code: "CONFIG_ERROR"}) {
		t.Fatal(err)
	}
}

func TestErrorsAreTyped(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 402, `{"error": {"code": "INSUFFICIENT_CREDITS", "message": "Add credits.", "balance": 3}}`)
	}, Options{})
	_, err := client.Splits.Create(context.Background(), Request{})
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, ErrInsufficientCredits) || *e.Balance != 3 || e.Status != 402 {
		t.Fatal(err)
	}
}

func TestCanceledContextEndsAWait(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: {\"id\": \"s\", \"status\": \"queued\"}\n\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
	}, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	_, err := client.Splits.Wait(ctx, "s", WaitOptions{Update: func(Job) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestSilentConnectionIsLost(t *testing.T) {
	client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}, Options{Timeout: 20 * time.Millisecond, MaxRetries: -1})
	if _, err := client.Credits(context.Background()); !errors.Is(err, ErrConnection) {
		t.Fatal(err)
	}
}

func TestReaderIsUploadedInChunksAndALostChunkIsSentAgain(t *testing.T) {
	var sent []string
	var address string
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case "POST":
			answer(w, 200, `{"data": {"uploadId": "u", "uploadUrl": "`+address+`/u", "uploadHeaders": {"X-Upload-Token": "t"}}}`)
		case "HEAD":
			w.Header().Set("Upload-Offset", "4")
		default:
			body, _ := io.ReadAll(r.Body)
			if sent = append(sent, string(body)); len(sent) == 2 {
				answer(w, 502, "")
			} else if r.Header.Get("Upload-Complete") == "?1" {
				answer(w, 200, `{"data": {"url": "f", "key": "k"}}`)
			} else {
				w.WriteHeader(204)
			}
		}
	}, Options{ChunkBytes: 3, Sleep: func(context.Context, time.Duration) error { return nil }})
	address = strings.TrimSuffix(client.baseURL, "/v1")
	upload, err := client.Upload(context.Background(), strings.NewReader("abcdefgh"), 8, UploadOptions{Filename: "a.mp3"})
	if err != nil || upload.Input.StorageKey != "k" || strings.Join(sent, " ") != "abc def efg h" {
		t.Fatal(sent, err)
	}
}

func TestDataThatIsTooShortIsReported(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, `{"data": {"uploadId": "u", "uploadUrl": "http://127.0.0.1:1", "uploadHeaders": {}}}`)
	}, Options{})
	_, err := client.Upload(context.Background(), strings.NewReader("abc"), 8, UploadOptions{Filename: "a.mp3"})
	if !errors.Is(err, &Error{Code: "UPLOAD_ERROR"}) {
		t.Fatal(err)
	}
}

func TestAllEndsAfterAnError(t *testing.T) {
	client := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			answer(w, 200, `{"data": {"items": [{"id": "a"}], "nextCursor": "c"}}`)
		} else {
			answer(w, 404, "")
		}
	}, Options{})
	var seen []string
	for job, err := range client.Splits.All(context.Background(), Filter{}) {
		if err != nil {
			seen = append(seen, "error")
			continue
		}
		seen = append(seen, job.ID)
	}
	if strings.Join(seen, " ") != "a error" {
		t.Fatal(seen)
	}
}
