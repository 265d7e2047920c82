package stemsplitter

import "encoding/json"

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
	Priority    string   `json:"priority,omitempty"`  // normal or low: when no other job waits
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
	Error                        struct{ Code, Message string } // empty unless it has failed
	Metadata                     map[string]string

	StemModel, OutputFormat string // of splits
	DurationSeconds         int
	Stems                   map[string]string // link of each stem, once the split has succeeded
	Outputs                 map[string]string // link of each file of an effect or of speech
	URL                     string            // of the file of a mix

	Song           // of analyses
	Analysis *Song // of splits, some seconds after they have succeeded

	Raw json.RawMessage `json:"-"` // all fields
}

// Song has what an analysis found, nil where there is nothing. Times of beats and chords are in seconds.
type Song struct {
	Tempo *struct {
		BPM, Confidence     float64
		Alternatives, Beats []float64
	}
	Key *struct {
		Name, Camelot string
		Compatible    []string // Camelot codes of the keys that mix well with it
		Confidence    float64
	}
	TuningCents *float64
	Chords      []struct {
		Start, End float64
		Name       string // of a major or minor triad, such as Am
	}
}

// UnmarshalJSON keeps all fields.
func (j *Job) UnmarshalJSON(content []byte) error {
	type fields Job
	j.Raw = append(json.RawMessage{}, content...)
	return json.Unmarshal(content, (*fields)(j))
}

// MarshalJSON returns the job as the server sent it.
func (j Job) MarshalJSON() ([]byte, error) { return j.Raw, nil }

// Page of a list. NextCursor is empty on the last page.
type Page[T any] struct {
	Items      []T
	NextCursor string
}

// Credits of the account: a balance in seconds of audio.
type Credits struct{ Balance int }

// Model of the server.
type Model struct {
	Name, Title, Licence, LicenceNote string
	Stems                             []string
	Source                            struct{ URL, Authors, Paper string }
	Quality                           map[string]map[string]float64 // metric → stem → value
	Ready                             bool
	RealtimeFactor                    *float64 // seconds of processing per second of audio
}

// Voice of speech.
type Voice struct{ Name, Description string }

// WebhookSecret signs webhooks. Only a new one has a value.
type WebhookSecret struct{ ID, Prefix, CreatedAt, ExpiresAt, Secret string }

// WebhookSettings create or change an endpoint. Empty values leave it as it is.
type WebhookSettings struct {
	URL         string   `json:"url,omitempty"`
	Events      []string `json:"events,omitempty"` // such as audio.split.completed; "*" means all
	Description string   `json:"description,omitempty"`
	Status      string   `json:"status,omitempty"` // enabled or disabled
}

// WebhookEndpoint is a saved URL. DisabledReason is set if the server disabled it.
type WebhookEndpoint struct {
	WebhookSettings
	ID, DisabledReason, FailingSince, CreatedAt, UpdatedAt, Secret string // the secret of a new one only
}

// Delivery of a webhook. The status is pending, delivered, failed or gone.
type Delivery struct {
	ID, Event, EventID, SplitID, EndpointID, URL, Status, LastError string
	NextAttemptAt, CreatedAt, UpdatedAt, Payload                    string // the payload is the body, of Get only
	Attempts, LastStatus                                            int
	Log                                                             json.RawMessage // the attempts, of Get only
}
