"use strict";
var __assign = (this && this.__assign) || function () {
    __assign = Object.assign || function(t) {
        for (var s, i = 1, n = arguments.length; i < n; i++) {
            s = arguments[i];
            for (var p in s) if (Object.prototype.hasOwnProperty.call(s, p))
                t[p] = s[p];
        }
        return t;
    };
    return __assign.apply(this, arguments);
};
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
exports.call = call;
exports.create = create;
exports.upload = upload;
exports.wait = wait;
exports.stems = stems;
var n8n_workflow_1 = require("n8n-workflow");
var CREDENTIAL = 'stemSplitterApi';
var POLL_MS = 2000;
var TYPES = {
    mp3: 'audio/mpeg', wav: 'audio/wav', flac: 'audio/flac', ogg: 'audio/ogg', m4a: 'audio/mp4',
};
/** Sends a request to the API. Returns `data` of the response. */
function call(node_1, item_1, method_1, path_1) {
    return __awaiter(this, arguments, void 0, function (node, item, method, path, options) {
        var credentials, url, request, answer, error_1;
        if (options === void 0) { options = {}; }
        return __generator(this, function (_a) {
            switch (_a.label) {
                case 0: return [4 /*yield*/, node.getCredentials(CREDENTIAL, item)];
                case 1:
                    credentials = _a.sent();
                    url = "".concat(String(credentials.baseUrl).replace(/\/+$/, ''), "/v1").concat(path);
                    _a.label = 2;
                case 2:
                    _a.trys.push([2, 4, , 5]);
                    request = __assign({ method: method, url: url, json: true }, options);
                    return [4 /*yield*/, node.helpers.httpRequestWithAuthentication.call(node, CREDENTIAL, request)];
                case 3:
                    answer = _a.sent();
                    return [2 /*return*/, answer.data];
                case 4:
                    error_1 = _a.sent();
                    throw new n8n_workflow_1.NodeApiError(node.getNode(), error_1, __assign({ itemIndex: item }, reasonOf(error_1)));
                case 5: return [2 /*return*/];
            }
        });
    });
}
/** Returns the sentence of the API, which says what is wrong and what to do. */
function reasonOf(error) {
    var _a, _b, _c, _d;
    var body = (_b = (_a = error.response) === null || _a === void 0 ? void 0 : _a.data) !== null && _b !== void 0 ? _b : (_c = error.context) === null || _c === void 0 ? void 0 : _c.data;
    var reason = body === null || body === void 0 ? void 0 : body.error;
    if (typeof reason === 'string')
        return { message: String((_d = body === null || body === void 0 ? void 0 : body.message) !== null && _d !== void 0 ? _d : reason), description: reason };
    return (reason === null || reason === void 0 ? void 0 : reason.message) ? { message: String(reason.message), description: String(reason.code) } : {};
}
/** Creates a job, once even if the request is repeated. */
function create(node, item, path, body) {
    return __awaiter(this, void 0, void 0, function () {
        var headers;
        return __generator(this, function (_a) {
            switch (_a.label) {
                case 0:
                    headers = { 'Idempotency-Key': (0, n8n_workflow_1.randomString)(32) };
                    return [4 /*yield*/, call(node, item, 'POST', path, { body: body, headers: headers })];
                case 1: return [2 /*return*/, _a.sent()];
            }
        });
    });
}
/** Uploads binary data. Returns the `input` of a job. */
function upload(node, item, field) {
    return __awaiter(this, void 0, void 0, function () {
        var binary, content, filename, extension, contentType, made, headers, sent, data, error_2;
        var _a, _b, _c, _d, _e;
        return __generator(this, function (_f) {
            switch (_f.label) {
                case 0:
                    binary = node.helpers.assertBinaryData(item, field);
                    return [4 /*yield*/, node.helpers.getBinaryDataBuffer(item, field)];
                case 1:
                    content = _f.sent();
                    filename = (_a = binary.fileName) !== null && _a !== void 0 ? _a : "song.".concat((_b = binary.fileExtension) !== null && _b !== void 0 ? _b : 'mp3');
                    extension = (_d = (_c = filename.split('.').pop()) === null || _c === void 0 ? void 0 : _c.toLowerCase()) !== null && _d !== void 0 ? _d : '';
                    contentType = (_e = TYPES[extension]) !== null && _e !== void 0 ? _e : binary.mimeType;
                    return [4 /*yield*/, create(node, item, '/audio/uploads', {
                            filename: filename,
                            contentType: contentType,
                            contentLength: content.length,
                        })];
                case 2:
                    made = _f.sent();
                    headers = __assign(__assign({}, made.uploadHeaders), { 'Content-Type': contentType });
                    _f.label = 3;
                case 3:
                    _f.trys.push([3, 5, , 6]);
                    return [4 /*yield*/, node.helpers.httpRequest({
                            method: 'POST', url: String(made.uploadUrl),
                            headers: headers,
                            body: content,
                        })];
                case 4:
                    sent = _f.sent();
                    data = (typeof sent === 'string' ? JSON.parse(sent) : sent).data;
                    return [2 /*return*/, { type: 'uploaded_file', uploadId: made.uploadId, fileUrl: data.url, storageKey: data.key }];
                case 5:
                    error_2 = _f.sent();
                    throw new n8n_workflow_1.NodeApiError(node.getNode(), error_2, __assign({ itemIndex: item }, reasonOf(error_2)));
                case 6: return [2 /*return*/];
            }
        });
    });
}
/** Waits until a job has ended. */
function wait(node, item, path, seconds) {
    return __awaiter(this, void 0, void 0, function () {
        var deadline, job, reason, message;
        var _a, _b;
        return __generator(this, function (_c) {
            switch (_c.label) {
                case 0:
                    deadline = Date.now() + seconds * 1000;
                    _c.label = 1;
                case 1: return [4 /*yield*/, call(node, item, 'GET', path)];
                case 2:
                    job = _c.sent();
                    if (job.status === 'succeeded')
                        return [2 /*return*/, job];
                    if (job.status === 'failed') {
                        reason = (_b = (_a = job.error) === null || _a === void 0 ? void 0 : _a.message) !== null && _b !== void 0 ? _b : 'no reason was given';
                        throw new n8n_workflow_1.NodeOperationError(node.getNode(), "".concat(job.id, " failed: ").concat(reason), { itemIndex: item });
                    }
                    if (Date.now() >= deadline) {
                        message = "".concat(job.id, " has not ended after ").concat(seconds, " seconds: raise the timeout, or use the trigger.");
                        throw new n8n_workflow_1.NodeOperationError(node.getNode(), message, { itemIndex: item });
                    }
                    return [4 /*yield*/, (0, n8n_workflow_1.sleep)(POLL_MS)];
                case 3:
                    _c.sent();
                    _c.label = 4;
                case 4: return [3 /*break*/, 1];
                case 5: return [2 /*return*/];
            }
        });
    });
}
/** Downloads the stems of a split as binary data, one field each. */
function stems(node, item, split) {
    return __awaiter(this, void 0, void 0, function () {
        var links, message, binary, _i, _a, _b, name_1, url, answer, content, extension, type, _c, _d;
        var _e, _f, _g;
        return __generator(this, function (_h) {
            switch (_h.label) {
                case 0:
                    links = split.stems;
                    if (!links) {
                        message = "".concat(split.id, " has no stems: its status is ").concat(split.status, ".");
                        throw new n8n_workflow_1.NodeOperationError(node.getNode(), message, { itemIndex: item });
                    }
                    binary = {};
                    _i = 0, _a = Object.entries(links);
                    _h.label = 1;
                case 1:
                    if (!(_i < _a.length)) return [3 /*break*/, 5];
                    _b = _a[_i], name_1 = _b[0], url = _b[1];
                    return [4 /*yield*/, node.helpers.httpRequest({
                            method: 'GET',
                            url: url,
                            encoding: 'arraybuffer', returnFullResponse: true,
                        })];
                case 2:
                    answer = (_h.sent());
                    content = Buffer.from(answer.body);
                    extension = (_f = (_e = /\.([a-z0-9]{2,5})(?:\?|$)/.exec(url)) === null || _e === void 0 ? void 0 : _e[1]) !== null && _f !== void 0 ? _f : String(split.outputFormat);
                    type = String((_g = answer.headers['content-type']) !== null && _g !== void 0 ? _g : TYPES[extension]);
                    _c = binary;
                    _d = name_1;
                    return [4 /*yield*/, node.helpers.prepareBinaryData(content, "".concat(name_1, ".").concat(extension), type)];
                case 3:
                    _c[_d] = _h.sent();
                    _h.label = 4;
                case 4:
                    _i++;
                    return [3 /*break*/, 1];
                case 5: return [2 /*return*/, { json: split, binary: binary, pairedItem: { item: item } }];
            }
        });
    });
}
