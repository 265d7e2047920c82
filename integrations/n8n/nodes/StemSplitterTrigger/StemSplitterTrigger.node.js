"use strict";
var __awaiter = (this && this.__awaiter) || function (thisArg, _arguments, P, generator) {
    function adopt(value) { return value instanceof P ? value : new P(function (resolve) { resolve(value); }); }
    return new (P || (P = Promise))(function (resolve, reject) {
        function fulfilled(value) { try { step(generator.next(value)); } catch (e) { reject(e); } }
        function rejected(value) { try { step(generator["throw"](value)); } catch (e) { reject(e); } }
        function step(result) { result.done ? resolve(result.value) : adopt(result.value).then(fulfilled, rejected); }
        step((generator = generator.apply(thisArg, _arguments || [])).next());
    });
};
var __generator = (this && this.__generator) || function (thisArg, body) {
    var _ = { label: 0, sent: function() { if (t[0] & 1) throw t[1]; return t[1]; }, trys: [], ops: [] }, f, y, t, g = Object.create((typeof Iterator === "function" ? Iterator : Object).prototype);
    return g.next = verb(0), g["throw"] = verb(1), g["return"] = verb(2), typeof Symbol === "function" && (g[Symbol.iterator] = function() { return this; }), g;
    function verb(n) { return function (v) { return step([n, v]); }; }
    function step(op) {
        if (f) throw new TypeError("Generator is already executing.");
        while (g && (g = 0, op[0] && (_ = 0)), _) try {
            if (f = 1, y && (t = op[0] & 2 ? y["return"] : op[0] ? y["throw"] || ((t = y["return"]) && t.call(y), 0) : y.next) && !(t = t.call(y, op[1])).done) return t;
            if (y = 0, t) op = [op[0] & 2, t.value];
            switch (op[0]) {
                case 0: case 1: t = op; break;
                case 4: _.label++; return { value: op[1], done: false };
                case 5: _.label++; y = op[1]; op = [0]; continue;
                case 7: op = _.ops.pop(); _.trys.pop(); continue;
                default:
                    if (!(t = _.trys, t = t.length > 0 && t[t.length - 1]) && (op[0] === 6 || op[0] === 2)) { _ = 0; continue; }
                    if (op[0] === 3 && (!t || (op[1] > t[0] && op[1] < t[3]))) { _.label = op[1]; break; }
                    if (op[0] === 6 && _.label < t[1]) { _.label = t[1]; t = op; break; }
                    if (t && _.label < t[2]) { _.label = t[2]; _.ops.push(op); break; }
                    if (t[2]) _.ops.pop();
                    _.trys.pop(); continue;
            }
            op = body.call(thisArg, _);
        } catch (e) { op = [6, e]; y = 0; } finally { f = t = 0; }
        if (op[0] & 5) throw op[1]; return { value: op[0] ? op[1] : void 0, done: true };
    }
};
Object.defineProperty(exports, "__esModule", { value: true });
exports.StemSplitterTrigger = void 0;
var n8n_workflow_1 = require("n8n-workflow");
var signature_1 = require("./signature");
var StemSplitterTrigger = /** @class */ (function () {
    function StemSplitterTrigger() {
        this.description = {
            displayName: 'Stem Splitter Trigger',
            name: 'stemSplitterTrigger',
            icon: { light: 'file:../../icons/stemsplitter.svg', dark: 'file:../../icons/stemsplitter.dark.svg' },
            group: ['trigger'],
            version: [1],
            subtitle: '={{ $parameter["events"].join(", ") }}',
            description: 'Starts a workflow when a split has ended',
            defaults: { name: 'Stem Splitter Trigger' },
            inputs: [],
            outputs: [n8n_workflow_1.NodeConnectionTypes.Main],
            usableAsTool: true,
            credentials: [{ name: 'stemSplitterApi', required: true }],
            webhooks: [{ name: 'default', httpMethod: 'POST', responseMode: 'onReceived', path: 'webhook', rawBody: true }],
            properties: [
                {
                    displayName: 'Use the URL of this node as the Webhook URL of splits. Webhooks are verified with the signing secret of the credential.',
                    name: 'notice',
                    type: 'notice',
                    default: '',
                },
                {
                    displayName: 'Events',
                    name: 'events',
                    type: 'multiOptions',
                    default: ['completed', 'failed'],
                    options: [
                        { name: 'Completed', value: 'completed' },
                        { name: 'Failed', value: 'failed' },
                    ],
                },
            ],
        };
        // the URL is part of each split, so that the server knows of no webhook
        this.webhookMethods = {
            default: {
                checkExists: function () {
                    return __awaiter(this, void 0, void 0, function () {
                        return __generator(this, function (_a) {
                            return [2 /*return*/, true];
                        });
                    });
                },
                create: function () {
                    return __awaiter(this, void 0, void 0, function () {
                        return __generator(this, function (_a) {
                            return [2 /*return*/, true];
                        });
                    });
                },
                delete: function () {
                    return __awaiter(this, void 0, void 0, function () {
                        return __generator(this, function (_a) {
                            return [2 /*return*/, true];
                        });
                    });
                },
            },
        };
    }
    StemSplitterTrigger.prototype.webhook = function () {
        return __awaiter(this, void 0, void 0, function () {
            var webhookSecret, request, header, event, kind, isWanted;
            var _a, _b;
            return __generator(this, function (_c) {
                switch (_c.label) {
                    case 0: return [4 /*yield*/, this.getCredentials('stemSplitterApi')];
                    case 1:
                        webhookSecret = (_c.sent()).webhookSecret;
                        request = this.getRequestObject();
                        header = String((_a = request.headers['aistemsplitter-signature']) !== null && _a !== void 0 ? _a : '');
                        if (!(0, signature_1.isGenuine)(request.rawBody, header, String(webhookSecret !== null && webhookSecret !== void 0 ? webhookSecret : ''), Date.now() / 1000)) {
                            this.getResponseObject().status(401).json({ message: 'The signature is wrong or too old.' });
                            return [2 /*return*/, { noWebhookResponse: true }];
                        }
                        event = JSON.parse(request.rawBody.toString('utf8'));
                        kind = (_b = String(event.event).split('.').pop()) !== null && _b !== void 0 ? _b : '';
                        isWanted = this.getNodeParameter('events').includes(kind);
                        return [2 /*return*/, isWanted ? { workflowData: [this.helpers.returnJsonArray(event)] } : {}];
                }
            });
        });
    };
    return StemSplitterTrigger;
}());
exports.StemSplitterTrigger = StemSplitterTrigger;
