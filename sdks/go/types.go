package stemsplitter

import (
	"bytes"
	"encoding/json"
)

// Input of a job: a direct URL, a link of a page, an uploaded file, or for tools a split.
type Input struct {
	Type       string `json:"type"`           // direct_url, link, uploaded_file or split
	ID         string `json:"id,omitempty"`   // of a split
	Stem       string `json:"stem,omitempty"` // of a split; its song by default
	URL        string `json:"url,omitempty"`
	UploadID   string `json:"uploadId,omitempty"`
	FileURL    string `json:"fileUrl,omitempty"`
	StorageKey string `json:"storageKey,omitempty"`
}

// Request creates a job. Each kind has its own fields; the zero value of those that are not required is the default.
type Request struct {
	Input        *Input            `json:"input,omitempty"` // of splits, analyses and effects; required
	OutputFormat string            `json:"outputFormat,omitempty"`
	WebhookURL   string            `json:"webhookUrl,omitempty"`
	Metadata     map[string]string `json:"metadata,omitempty"`

	// of splits
	StemModel   string   `json:"stemModel,omitempty"` // 2s, 4s, 6s or a model; 6s by default
	Quality     string   `json:"quality,omitempty"`   // fast, balanced or best
	Stems       []string `json:"stems,omitempty"`
	Instruments []string `json:"instruments,omitempty"`
	BitDepth    string   `json:"bitDepth,omitempty"` // and of mixes

	// of mixes
	Gains   map[string]*float64 `json:"gains,omitempty"` // decibels by stem; nil leaves a stem out
	Pan     map[string]float64  `json:"pan,omitempty"`   // positions by stem, from -1 (left) to 1 (right)
	Format  string              `json:"format,omitempty"`
	Bitrate int                 `json:"bitrate,omitempty"`

	// of effects
	Effect     string         `json:"effect,omitempty"` // pitch, speed, nightcore, daycore, slowed_reverb or voice_isolator
	Parameters map[string]any `json:"parameters,omitempty"`

	// of speech
	Text  string  `json:"text,omitempty"`
	Voice string  `json:"voice,omitempty"`
	Speed float64 `json:"speed,omitempty"`
	Pitch float64 `json:"pitch,omitempty"`
}

// Job of any kind. A kind has no values for the fields of others. It marshals as the server sent it.
type Job struct {
	ID, Filename, CreatedAt, UpdatedAt, ExpiresAt string

	Status                       string // queued, processing, succeeded or failed
	Progress                     int    // percent
	CreditsUsed, CreditsRefunded int
	Error                        *struct{ Code, Message string }
	Metadata                     map[string]string

	StemModel, OutputFormat string // of splits
	DurationSeconds         int
	Stems                   map[string]string // link of each stem, once the split has succeeded
	Outputs                 map[string]string // link of each file of an effect or of speech
	URL                     string            // of the file of a mix

	// of analyses; the key is nil if there is none
	Tempo *struct {
		BPM, Confidence     float64
		Alternatives, Beats []float64
	}
	Key *struct {
		Name, Camelot string
		Confidence    float64
	}
	TuningCents *float64

	Raw json.RawMessage `json:"-"` // all fields
}

// UnmarshalJSON keeps all fields.
func (j *Job) UnmarshalJSON(content []byte) error {
	type fields Job
	j.Raw = bytes.Clone(content)
	return json.Unmarshal(content, (*fields)(j))
}

// MarshalJSON returns the job as the server sent it.
func (j Job) MarshalJSON() ([]byte, error) { return j.Raw, nil }

func (j Job) hasEnded() bool { return j.Status == "succeeded" || j.Status == "failed" }

func (j Job) links() map[string]string {
	if j.URL != "" {
		return map[string]string{"mix": j.URL}
	}
	if j.Stems != nil {
		return j.Stems
	}
	return j.Outputs
}

// Page of a list. NextCursor is empty on the last page.
type Page[T any] struct {
	Items      []T
	NextCursor string
}

// Credits of the account: a balance in seconds of audio.
type Credits struct{ Balance int }

// Model of the server.
type Model struct {
	Name, Title, Licence string
	Stems                []string
	Ready                bool
}

// Voice of speech.
type Voice struct{ Name string }

// WebhookSecret signs webhooks. Only a new one has a value.
type WebhookSecret struct{ ID, Prefix, ExpiresAt, Secret string }

// Delivery of a webhook. The status is pending, delivered, failed or gone.
type Delivery struct {
	ID, Event, EventID, SplitID, URL, Status, LastError string
	Attempts, LastStatus                                int
	Log                                                 json.RawMessage
}
