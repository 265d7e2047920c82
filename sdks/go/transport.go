package stemsplitter

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	firstDelay, maxDelay = 500 * time.Millisecond, 8 * time.Second
	maxRetryAfter        = 120 * time.Second

	slowestBytesPerSecond = 16 << 10
)

var errSilent = errors.New("nothing was received or sent for too long")

// transport sends requests, and repeats those that can be repeated.
type transport struct {
	Options
	client http.Client
}

func newTransport(options Options) *transport {
	plain := http.DefaultTransport.(*http.Transport).Clone()
	plain.DisableCompression = true // the length of a download is verified
	client := *cmp.Or(options.HTTPClient, &http.Client{Transport: plain})
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	options.Timeout, options.MaxRetries = cmp.Or(options.Timeout, time.Minute), cmp.Or(options.MaxRetries, 4)
	options.Logger = cmp.Or(options.Logger, slog.New(slog.DiscardHandler))
	return &transport{options, client}
}

// watched is the body of a response, whose request ends if nothing is received for a time.
type watched struct {
	io.ReadCloser
	ctx     context.Context
	timer   *time.Timer
	timeout time.Duration
}

func (w *watched) Read(buffer []byte) (int, error) {
	n, err := w.ReadCloser.Read(buffer)
	w.timer.Reset(w.timeout)
	if err != nil && err != io.EOF {
		err = lost(w.ctx, "The transfer", err)
	}
	return n, err
}

// lost returns the error of a lost connection, or that of the context if it has ended.
func lost(ctx context.Context, action string, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		err = cause
	} else if cause != nil {
		return cause
	}
	return &Error{Code: "CONNECTION_ERROR", Message: fmt.Sprintf("%s failed: %v.", action, err), RetryAfter: -1, Cause: err}
}

// message is a request of HTTP.
type message struct {
	method, url, key string // with an idempotency key, it is safe to repeat
	headers          http.Header
	body             *io.SectionReader
	once             bool // it must not be repeated
}

// exchange sends a message once; use reads the response if it is not an error.
func (t *transport) exchange(ctx context.Context, m message, timeout time.Duration, use func(*http.Response) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, m.method, m.url, nil)
	if err != nil {
		return &Error{Code: "CONFIG_ERROR", Message: err.Error(), Cause: err}
	}
	request.Header = m.headers.Clone()
	request.Header.Set("User-Agent", "stemsplitter-go/"+Version)
	if m.body != nil && m.body.Size() > 0 {
		request.ContentLength = m.body.Size()
		request.GetBody = func() (io.ReadCloser, error) {
			return io.NopCloser(io.NewSectionReader(m.body, 0, m.body.Size())), nil
		}
		request.Body, _ = request.GetBody()
	}
	slowest := time.Duration(request.ContentLength) * time.Second / slowestBytesPerSecond
	timer := time.AfterFunc(timeout+slowest, func() { cancel(errSilent) })
	defer timer.Stop()
	response, err := t.client.Do(request)
	if err != nil {
		return lost(ctx, "The request", err) // err has its method and address
	}
	defer response.Body.Close()
	response.Body = &watched{response.Body, ctx, timer, timeout}
	if response.StatusCode >= 400 {
		return errorOf(response)
	}
	return use(response)
}

// request sends a message until it succeeds; use reads the response. Responses 429 are always repeated, lost connections
// and errors of the server only if it can be repeated. use may change the headers of the next attempt.
func (t *transport) request(ctx context.Context, m message, use func(*http.Response) error) error {
	for attempt := 1; ; attempt++ {
		err := t.exchange(ctx, m, t.Timeout, use)
		e := asError(err)
		if e == nil {
			return err
		}
		e.Attempts = attempt
		// 409: the server is doing it for the same idempotency key
		again := e.Status == 429 || e.Status == 409 && e.RetryAfter >= 0 || !m.once && e.isTemporary()
		if !again || attempt > t.MaxRetries || e.RetryAfter > maxRetryAfter {
			return err
		}
		if err := t.pause(ctx, attempt, e); err != nil {
			return err
		}
	}
}

// pause waits before the next attempt, as long as the server asks for, else exponentially longer with jitter.
func (t *transport) pause(ctx context.Context, attempt int, e *Error) error {
	delay := e.RetryAfter
	if delay < 0 {
		delay = min(firstDelay<<(attempt-1), maxDelay)
		delay = delay/2 + rand.N(delay/2)
	}
	t.Logger.InfoContext(ctx, "retry", "attempt", attempt, "delay", delay, "error", e)
	return t.wait(ctx, delay)
}

func (t *transport) wait(ctx context.Context, duration time.Duration) error {
	if t.Sleep != nil {
		return t.Sleep(ctx, duration)
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(duration):
		return nil
	}
}

// Error of all methods, apart from errors of the context and of local files. errors.As finds it.
type Error struct {
	Status int `json:"-"` // of HTTP; 0 if there was no response
	// Code of the API, such as NOT_FOUND; of the client, CONFIG_ERROR, CONNECTION_ERROR, TIMEOUT, DOWNLOAD_ERROR,
	// UPLOAD_ERROR or INVALID_SIGNATURE; HTTP_ERROR for a response that is not of the API.
	Code            string
	Message         string        // one sentence that says what is wrong
	RequestID       string        // of the request in the server's log
	DocURL          string        // address of the documentation of the code
	Param           string        // the part of the request that is wrong, such as input.url
	RetryAfter      time.Duration `json:"-"` // that the server asks to wait; negative if it does not
	RequiredSeconds *int          // credits that the song needs
	Balance         *int          // credits of the account
	Attempts        int           `json:"-"` // how often the request was sent
	Cause           error         `json:"-"`
}

// Errors to compare with errors.Is.
var (
	ErrUnauthorized        = &Error{Code: "UNAUTHORIZED"}
	ErrInsufficientCredits = &Error{Code: "INSUFFICIENT_CREDITS"}
	ErrNotFound            = &Error{Code: "NOT_FOUND"}
	ErrConflict            = &Error{Code: "CONFLICT"}
	ErrValidation          = &Error{Code: "VALIDATION_ERROR"}
	ErrRateLimited         = &Error{Code: "RATE_LIMITED"}
	ErrServer              = &Error{Code: "SERVER_ERROR"}
	ErrConnection          = &Error{Code: "CONNECTION_ERROR"}
	ErrTimeout             = &Error{Code: "TIMEOUT"}
	ErrInvalidSignature    = &Error{Code: "INVALID_SIGNATURE"}
)

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Is compares codes.
func (e *Error) Is(target error) bool {
	other, ok := target.(*Error)
	return ok && other.Code == e.Code
}

func asError(err error) (e *Error) {
	errors.As(err, &e)
	return e
}

// isTemporary tells whether the same request may succeed later.
func (e *Error) isTemporary() bool {
	return slices.Contains([]int{408, 429, 500, 502, 503, 504}, e.Status) || e.Code == ErrConnection.Code
}

// errorOf returns the error of a response: in the envelope, flat as of upload URLs, or of a proxy.
func errorOf(response *http.Response) error {
	e := &Error{
		Status: response.StatusCode, Code: "HTTP_ERROR", RetryAfter: retryAfter(response),
		Message: fmt.Sprintf("The request failed with status %d.", response.StatusCode),
	}
	var body struct {
		Error   json.RawMessage
		Message string
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	_ = json.Unmarshal(content, &body) // of a proxy, it may be anything
	if json.Unmarshal(body.Error, e) != nil && json.Unmarshal(body.Error, &e.Code) == nil {
		e.Message = cmp.Or(body.Message, e.Code)
	}
	return e
}

func retryAfter(response *http.Response) time.Duration {
	seconds, err := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 32)
	if err != nil {
		return -1
	}
	return time.Duration(seconds) * time.Second
}
