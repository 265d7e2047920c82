// Package stemsplitter is a client of the Stem Splitter API.
package stemsplitter

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Version of this package.
const Version = "0.1.0"

// Options of a client. The zero value of each has a default.
type Options struct {
	APIKey     string        // ast_live_…; the environment variable STEMSPLITTER_KEY by default
	BaseURL    string        // address of the server, with or without /v1; STEMSPLITTER_URL by default
	Timeout    time.Duration // that a connection may be silent; 60 s by default
	MaxRetries int           // of a request that can be repeated; 4 by default, none if negative
	ChunkBytes int           // of uploads, at least 65536; 8 MiB by default
	HTTPClient *http.Client  // does not follow redirects
	Logger     *slog.Logger  // logs retries
	Sleep      func(context.Context, time.Duration) error
}

// Client of a Stem Splitter server. It can be used by several goroutines.
type Client struct {
	Splits, Analyses, Effects, Speech *Jobs
	WebhookEndpoints                  *WebhookEndpoints
	Deliveries                        *Collection[Delivery]

	baseURL, key string
	chunkBytes   int
	http         *transport
}

// New returns a client. It fails with CONFIG_ERROR if there is no key or no address.
func New(options Options) (*Client, error) {
	key := cmp.Or(options.APIKey, os.Getenv("STEMSPLITTER_KEY"))
	address := strings.TrimRight(cmp.Or(options.BaseURL, os.Getenv("STEMSPLITTER_URL")), "/")
	if key == "" || address == "" {
		message := "Missing API key or address: pass APIKey and BaseURL, or set STEMSPLITTER_KEY and STEMSPLITTER_URL."
		return nil, &Error{Code: "CONFIG_ERROR", Message: message}
	}
	c := &Client{
		baseURL:    strings.TrimSuffix(address, "/v1") + "/v1",
		key:        key,
		chunkBytes: cmp.Or(options.ChunkBytes, 8<<20),
		http:       newTransport(options),
	}
	jobs := func(kind string) *Jobs { return &Jobs{Collection[Job]{Objects[Job]{c, "/audio/" + kind}}, true} }
	c.Splits, c.Analyses, c.Effects, c.Speech = jobs("splits"), jobs("analyses"), jobs("effects"), jobs("speech")
	c.WebhookEndpoints = &WebhookEndpoints{Objects[WebhookEndpoint]{c, "/webhook_endpoints"}}
	c.Deliveries = &Collection[Delivery]{Objects[Delivery]{c, "/webhooks/deliveries"}}
	return c, nil
}

// Mixes of a split. They can be neither canceled nor deleted: they end with the split.
func (c *Client) Mixes(splitID string) *Jobs {
	return &Jobs{Collection[Job]{Objects[Job]{c, c.Splits.at(splitID) + "/mixes"}}, false}
}

// Credits returns the balance of the account.
func (c *Client) Credits(ctx context.Context) (Credits, error) {
	return get[Credits](ctx, c, "/credits")
}

// Models returns the models of the server, the preferred one first.
func (c *Client) Models(ctx context.Context) ([]Model, error) { return items[Model](ctx, c, "/models") }

// Voices returns the voices of speech.
func (c *Client) Voices(ctx context.Context) ([]Voice, error) { return items[Voice](ctx, c, "/voices") }

// FileOptions of DownloadStem and DownloadArchive. The zero value of each has a default.
type FileOptions struct {
	Format, BitDepth, Bitrate string        // such as "flac" and "24", or "mp3" and "320"; the format of the split by default
	Timeout                   time.Duration // until the server has made the file; 5 minutes by default
}

// DownloadStem downloads a stem, or "no_" and its name for the song without it, in any format. The file appears when it
// is complete.
func (c *Client) DownloadStem(ctx context.Context, splitID, name, path string, options FileOptions) error {
	return c.downloadMade(ctx, c.Splits.at(splitID)+"/stems/"+url.PathEscape(name), path, options)
}

// DownloadArchive downloads all stems in a ZIP archive, or with the format "stem.mp4" in one Native Instruments Stem
// file, like DownloadStem.
func (c *Client) DownloadArchive(ctx context.Context, splitID, path string, options FileOptions) error {
	return c.downloadMade(ctx, c.Splits.at(splitID)+"/archive", path, options)
}

// DownloadCover downloads the cover of the song, a small JPEG. It fails with NOT_FOUND if it has none.
func (c *Client) DownloadCover(ctx context.Context, splitID, path string) error {
	return c.downloadMade(ctx, c.Splits.at(splitID)+"/cover", path, FileOptions{})
}

func (c *Client) downloadMade(ctx context.Context, from, path string, options FileOptions) error {
	from += query("format", options.Format, "bitDepth", options.BitDepth, "bitrate", options.Bitrate)
	files := map[string]string{filepath.Base(path): c.baseURL + from}
	return c.http.downloadFiles(ctx, filepath.Dir(path), files, c.headers(), cmp.Or(options.Timeout, 5*time.Minute))
}

// Peaks returns the JSON of the peaks of the stems, to draw waveforms. The resolution is "overview" or "full".
func (c *Client) Peaks(ctx context.Context, splitID, resolution string) (json.RawMessage, error) {
	return get[json.RawMessage](ctx, c, c.Splits.at(splitID)+"/peaks"+query("resolution", resolution))
}

// Previews returns JSON with links to small files of the stems, for a player. The codec is "opus" or "aac". It has
// "status" instead of "stems" while the server makes them.
func (c *Client) Previews(ctx context.Context, splitID, codec string) (json.RawMessage, error) {
	return get[json.RawMessage](ctx, c, c.Splits.at(splitID)+"/previews"+query("codec", codec))
}

// RotateWebhookSecret creates a signing secret for URLs that are part of requests. The previous one stays active for 24
// hours.
func (c *Client) RotateWebhookSecret(ctx context.Context) (string, error) {
	made, err := once[WebhookSecret](ctx, c, "/webhooks/secrets/rotate", nil)
	return made.Secret, err
}

// WebhookSecrets returns the active signing secrets, without their values.
func (c *Client) WebhookSecrets(ctx context.Context) ([]WebhookSecret, error) {
	return items[WebhookSecret](ctx, c, "/webhooks/secrets")
}

// SendTestWebhook sends a test event and returns its delivery.
func (c *Client) SendTestWebhook(ctx context.Context, address string) (Delivery, error) {
	return once[Delivery](ctx, c, "/webhooks/test", map[string]string{"url": address})
}

// ReplayDelivery delivers an event again and returns the new delivery.
func (c *Client) ReplayDelivery(ctx context.Context, id string) (Delivery, error) {
	return once[Delivery](ctx, c, c.Deliveries.at(id)+"/replay", nil)
}

func items[T any](ctx context.Context, c *Client, path string) ([]T, error) {
	page, err := get[Page[T]](ctx, c, path)
	return page.Items, err
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return call[T](ctx, c, "GET", path, nil, message{})
}

// once sends a POST request that must not be repeated.
func once[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	return call[T](ctx, c, "POST", path, body, message{once: true})
}

// call sends a request of the API and returns "data" of the response.
func call[T any](ctx context.Context, c *Client, method, path string, body any, m message) (data T, err error) {
	m.method, m.url, m.headers = method, c.baseURL+path, c.headers()
	if body != nil {
		content, err := json.Marshal(body)
		if err != nil {
			return data, err
		}
		m.headers.Set("Content-Type", "application/json")
		m.body = io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content)))
	}
	if m.key != "" {
		m.headers.Set("Idempotency-Key", m.key)
	}
	err = c.http.request(ctx, m, func(response *http.Response) error { return decode(response, &data) })
	return data, err
}

// decode reads "data" of a response.
func decode(response *http.Response, data any) error {
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var envelope struct{ Data json.RawMessage }
	if json.Unmarshal(content, &envelope) != nil || envelope.Data == nil {
		return &Error{Status: response.StatusCode, Code: "HTTP_ERROR", Message: "The response is not of the API: check BaseURL."}
	}
	return json.Unmarshal(envelope.Data, data)
}

func (c *Client) headers() http.Header {
	return http.Header{"Accept": {"application/json"}, "Authorization": {"Bearer " + c.key}}
}

// query returns the part of a URL with names and values, without those that are empty.
func query(pairs ...string) string {
	text, mark := "", "?"
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			text += mark + pairs[i] + "=" + url.QueryEscape(pairs[i+1])
			mark = "&"
		}
	}
	return text
}
