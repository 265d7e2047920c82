// Driver of the conformance suite: see sdks/conformance/PROTOCOL.md.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	stemsplitter "github.com/stemsplitter/stemsplitter-go"
)

type command struct {
	Op, Kind, Split, APIKey, BaseURL, ID, Status, SplitID, EndpointID, Path, Filename, Folder, Name string
	Format, BitDepth, Bitrate, IdempotencyKey, URL, Body, Secret, Resolution, Codec                 string
	ChunkBytes                                                                                      int
	IsFast                                                                                          bool
	Request, Headers                                                                                json.RawMessage
	Timeout, Tolerance, Now                                                                         float64
}

type object map[string]any

var (
	client *stemsplitter.Client
	slept  []float64
	ctx    = context.Background()
)

func seconds(value float64) time.Duration { return max(time.Duration(value*float64(time.Second)), 1) }

func open(c command) (any, error) {
	made, err := stemsplitter.New(stemsplitter.Options{
		APIKey: c.APIKey, BaseURL: c.BaseURL, ChunkBytes: c.ChunkBytes,
		Sleep: func(ctx context.Context, duration time.Duration) error {
			slept = append(slept, duration.Seconds())
			if !c.IsFast {
				time.Sleep(duration)
			}
			return ctx.Err()
		},
	})
	client = made
	return nil, err
}

func run(c command) (any, error) {
	options := stemsplitter.FileOptions{
		Format: c.Format, BitDepth: c.BitDepth, Bitrate: c.Bitrate, Timeout: seconds(c.Timeout),
	}
	switch c.Op {
	case "new":
		return open(c)
	case "credits":
		credits, err := client.Credits(ctx)
		return object{"balance": credits.Balance, "unit": "seconds"}, err
	case "models":
		return listed(client.Models(ctx))
	case "voices":
		return listed(client.Voices(ctx))
	case "secrets":
		return listed(client.WebhookSecrets(ctx))
	case "upload":
		progress := []int64{}
		upload, err := client.UploadFile(ctx, c.Path, stemsplitter.UploadOptions{
			Filename: c.Filename, Progress: func(sent, _ int64) { progress = append(progress, sent) },
		})
		if err != nil {
			return nil, err
		}
		result := object{"input": upload.Input, "expiresAt": upload.ExpiresAt, "uploadId": upload.Input.UploadID,
			"fileUrl": upload.Input.FileURL, "storageKey": upload.Input.StorageKey}
		return object{"upload": result, "progress": progress}, nil
	case "stem":
		return c.Path, client.DownloadStem(ctx, c.ID, c.Name, c.Path, options)
	case "archive":
		return c.Path, client.DownloadArchive(ctx, c.ID, c.Path, options)
	case "cover":
		return c.Path, client.DownloadCover(ctx, c.ID, c.Path)
	case "peaks":
		return client.Peaks(ctx, c.ID, c.Resolution)
	case "previews":
		return client.Previews(ctx, c.ID, c.Codec)
	case "rotate":
		return client.RotateWebhookSecret(ctx)
	case "test_webhook":
		return told(client.SendTestWebhook(ctx, c.URL))
	case "replay":
		return told(client.ReplayDelivery(ctx, c.ID))
	case "verify":
		return verify(c)
	}
	if strings.Contains(c.Op, "_endpoint") {
		return runEndpoints(client.WebhookEndpoints, c)
	}
	if c.Kind == "deliveries" {
		return runDeliveries(c)
	}
	if c.Kind == "mixes" {
		return runJob(client.Mixes(c.Split), c)
	}
	kinds := map[string]*stemsplitter.Jobs{
		"": client.Splits, "analyses": client.Analyses, "effects": client.Effects, "speech": client.Speech,
	}
	return runJob(kinds[c.Kind], c)
}

func runEndpoints(endpoints *stemsplitter.WebhookEndpoints, c command) (any, error) {
	var settings stemsplitter.WebhookSettings
	if c.Request != nil {
		if err := json.Unmarshal(c.Request, &settings); err != nil {
			return nil, err
		}
	}
	switch c.Op {
	case "create_endpoint":
		return told(endpoints.Create(ctx, settings))
	case "get_endpoint":
		return told(endpoints.Get(ctx, c.ID))
	case "list_endpoints":
		return listed(endpoints.List(ctx))
	case "update_endpoint":
		return told(endpoints.Update(ctx, c.ID, settings))
	case "delete_endpoint":
		return object{"id": c.ID, "deleted": true}, endpoints.Delete(ctx, c.ID)
	case "rotate_endpoint":
		return endpoints.RotateSecret(ctx, c.ID)
	case "test_endpoint":
		return told(endpoints.SendTest(ctx, c.ID))
	}
	return nil, fmt.Errorf("unknown op %s", c.Op)
}

func runDeliveries(c command) (any, error) {
	if c.Op == "get" {
		return told(client.Deliveries.Get(ctx, c.ID))
	}
	ids := []string{}
	filter := stemsplitter.Filter{Status: c.Status, SplitID: c.SplitID, EndpointID: c.EndpointID}
	for found, err := range client.Deliveries.All(ctx, filter) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, found.ID)
	}
	return ids, nil
}

// told returns a value with the names of the API: those of Go begin with a capital letter, and end with ID.
func told(value any, err error) (object, error) {
	content, failed := json.Marshal(value)
	fields, renamed := object{}, object{}
	if err = errors.Join(err, failed, json.Unmarshal(content, &fields)); err != nil {
		return nil, err
	}
	for name, value := range fields {
		name = strings.ToLower(name[:1]) + name[1:]
		if name == "iD" || name == "uRL" {
			name = strings.ToLower(name)
		}
		renamed[strings.Replace(name, "ID", "Id", 1)] = value
	}
	return renamed, nil
}

func listed[T any](values []T, err error) ([]object, error) {
	found := []object{}
	for _, value := range values {
		each, failed := told(value, err)
		if failed != nil {
			return nil, failed
		}
		found = append(found, each)
	}
	return found, err
}

func runJob(jobs *stemsplitter.Jobs, c command) (any, error) {
	switch c.Op {
	case "create":
		var request stemsplitter.Request
		if err := json.Unmarshal(c.Request, &request); err != nil {
			return nil, err
		}
		if c.IdempotencyKey != "" {
			return jobs.Create(ctx, request, stemsplitter.IdempotencyKey(c.IdempotencyKey))
		}
		return jobs.Create(ctx, request)
	case "get":
		return jobs.Get(ctx, c.ID)
	case "chords":
		found, err := jobs.Get(ctx, c.ID)
		if found.Analysis != nil {
			return listed(found.Analysis.Chords, err)
		}
		return listed(found.Chords, err)
	case "wait":
		updates := []any{}
		found, err := jobs.Wait(ctx, c.ID, stemsplitter.WaitOptions{
			Timeout: seconds(c.Timeout), Update: func(now stemsplitter.Job) { updates = append(updates, now.Progress) },
		})
		return object{"job": found, "updates": updates}, err
	case "list":
		ids := []string{}
		for found, err := range jobs.All(ctx, stemsplitter.Filter{Status: c.Status}) {
			if err != nil {
				return nil, err
			}
			ids = append(ids, found.ID)
		}
		return ids, nil
	case "cancel":
		return jobs.Cancel(ctx, c.ID)
	case "delete":
		return object{"id": c.ID, "deleted": true}, jobs.Delete(ctx, c.ID)
	case "download":
		found, err := jobs.Get(ctx, c.ID)
		if err != nil {
			return nil, err
		}
		return jobs.Download(ctx, found, c.Folder)
	}
	return nil, fmt.Errorf("unknown op %s", c.Op)
}

func verify(c command) (any, error) {
	headers, value := http.Header{}, ""
	var pairs map[string]string
	if json.Unmarshal(c.Headers, &value) == nil {
		headers.Set("AIStemSplitter-Signature", value)
	} else if err := json.Unmarshal(c.Headers, &pairs); err != nil {
		return nil, err
	}
	for name, value := range pairs {
		headers.Set(name, value)
	}
	now := time.Now()
	if c.Now != 0 {
		now = time.Unix(int64(c.Now), 0)
	}
	tolerance := 5 * time.Minute
	if c.Tolerance != 0 {
		tolerance = seconds(c.Tolerance)
	}
	return stemsplitter.VerifyWebhookAt([]byte(c.Body), headers, c.Secret, tolerance, now)
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			panic(err)
		}
		slept = []float64{}
		value, err := run(c)
		result := object{"ok": value, "slept": slept}
		var e *stemsplitter.Error
		if errors.As(err, &e) {
			result = object{"slept": slept, "error": object{
				"code": e.Code, "status": e.Status, "message": e.Message, "requestId": e.RequestID, "docUrl": e.DocURL,
				"param": e.Param, "retryAfter": max(e.RetryAfter, 0).Seconds(), "requiredSeconds": e.RequiredSeconds, "balance": e.Balance,
			}}
		} else if err != nil {
			panic(err)
		}
		line, err := json.Marshal(result)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(line))
	}
}
