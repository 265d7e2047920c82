package stemsplitter

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const signatureHeader = "AIStemSplitter-Signature"

// WebhookEndpoints are saved URLs, which get the webhooks of all jobs. The server disables those that fail for days.
type WebhookEndpoints struct{ Objects[WebhookEndpoint] }

// Create saves an endpoint. Its signing secret is in this response only.
func (e *WebhookEndpoints) Create(ctx context.Context, settings WebhookSettings) (WebhookEndpoint, error) {
	return once[WebhookEndpoint](ctx, e.client, e.path, settings)
}

// List returns all endpoints, newest first.
func (e *WebhookEndpoints) List(ctx context.Context) ([]WebhookEndpoint, error) {
	return items[WebhookEndpoint](ctx, e.client, e.path)
}

// Update changes an endpoint.
func (e *WebhookEndpoints) Update(ctx context.Context, id string, changes WebhookSettings) (WebhookEndpoint, error) {
	return call[WebhookEndpoint](ctx, e.client, "POST", e.at(id), changes, message{})
}

// Delete deletes an endpoint. Its pending deliveries end as failed.
func (e *WebhookEndpoints) Delete(ctx context.Context, id string) error {
	return e.delete(ctx, id)
}

// RotateSecret creates a signing secret of the endpoint. The previous one stays active for 24 hours.
func (e *WebhookEndpoints) RotateSecret(ctx context.Context, id string) (string, error) {
	made, err := once[WebhookSecret](ctx, e.client, e.at(id)+"/rotate", nil)
	return made.Secret, err
}

// SendTest sends a test event to the endpoint and returns its delivery.
func (e *WebhookEndpoints) SendTest(ctx context.Context, id string) (Delivery, error) {
	return once[Delivery](ctx, e.client, e.at(id)+"/test", nil)
}

// Event of a webhook.
type Event struct {
	Event string          `json:"event"` // such as audio.split.completed or audio.analysis.failed
	Data  json.RawMessage `json:"data"`  // the job
}

// VerifyWebhook verifies a webhook and returns its event. The body is that received, unchanged; tolerance is the largest
// age. Signatures of both schemes are verified, if present. It fails with INVALID_SIGNATURE.
func VerifyWebhook(body []byte, headers http.Header, secret string, tolerance time.Duration) (*Event, error) {
	return VerifyWebhookAt(body, headers, secret, tolerance, time.Now())
}

// VerifyWebhookAt is VerifyWebhook for a webhook that was received at a time.
func VerifyWebhookAt(body []byte, headers http.Header, secret string, tolerance time.Duration, now time.Time) (*Event, error) {
	own, standard := headers.Values(signatureHeader), headers.Values("Webhook-Signature")
	if secret == "" || len(own) == 0 && len(standard) == 0 {
		return nil, invalid("There is no secret or no signature.")
	}
	if len(own) > 0 {
		parts := strings.Split(strings.ReplaceAll(own[0], " ", ""), ",")
		unix, isTime := strings.CutPrefix(parts[0], "t=")
		if !isTime || strings.Contains(own[0][2:], "t=") {
			return nil, invalid(signatureHeader + " is malformed.")
		}
		digest := hex.EncodeToString(sign([]byte(secret), unix, body))
		if err := check(unix, tolerance, now, "v1="+digest, parts[1:]); err != nil {
			return nil, err
		}
	}
	if len(standard) > 0 {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			return nil, invalid("The secret must be whsec_ and base64.")
		}
		unix := headers.Get("Webhook-Timestamp")
		digest := base64.StdEncoding.EncodeToString(sign(key, headers.Get("Webhook-Id")+"."+unix, body))
		if err := check(unix, tolerance, now, "v1,"+digest, strings.Fields(standard[0])); err != nil {
			return nil, err
		}
	}
	event := &Event{}
	if json.Unmarshal(body, event) != nil {
		return nil, invalid("The body is not JSON.")
	}
	return event, nil
}

func sign(key []byte, prefix string, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(prefix + "."))
	mac.Write(body)
	return mac.Sum(nil)
}

func check(unix string, tolerance time.Duration, now time.Time, expected string, given []string) error {
	seconds, err := strconv.ParseUint(unix, 10, 32)
	if err != nil {
		return invalid("The timestamp is missing or malformed.")
	}
	if now.Sub(time.Unix(int64(seconds), 0)).Abs() > tolerance {
		return invalid("The timestamp differs from the time by more than " + tolerance.String() + ".")
	}
	for _, each := range given {
		if hmac.Equal([]byte(each), []byte(expected)) {
			return nil
		}
	}
	return invalid("No signature matches the body and the secret.")
}

func invalid(message string) error { return &Error{Code: "INVALID_SIGNATURE", Message: message} }
