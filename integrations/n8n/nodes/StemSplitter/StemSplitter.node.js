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
exports.StemSplitter = void 0;
var n8n_workflow_1 = require("n8n-workflow");
var api_1 = require("./api");
var properties_1 = require("./properties");
var StemSplitter = /** @class */ (function () {
    function StemSplitter() {
        this.description = {
            displayName: 'Stem Splitter',
            name: 'stemSplitter',
            icon: { light: 'file:../../icons/stemsplitter.svg', dark: 'file:../../icons/stemsplitter.dark.svg' },
            group: ['transform'],
            version: [1],
            subtitle: '={{ $parameter["operation"] }}',
            description: 'Separate songs into stems with a Stem Splitter server',
            defaults: { name: 'Stem Splitter' },
            inputs: [n8n_workflow_1.NodeConnectionTypes.Main],
            outputs: [n8n_workflow_1.NodeConnectionTypes.Main],
            usableAsTool: true,
            credentials: [{ name: 'stemSplitterApi', required: true }],
            properties: properties_1.properties,
        };
    }
    StemSplitter.prototype.execute = function () {
        return __awaiter(this, void 0, void 0, function () {
            var results, item, _a, _b, _c, error_1;
            return __generator(this, function (_d) {
                switch (_d.label) {
                    case 0:
                        results = [];
                        item = 0;
                        _d.label = 1;
                    case 1:
                        if (!(item < this.getInputData().length)) return [3 /*break*/, 6];
                        _d.label = 2;
                    case 2:
                        _d.trys.push([2, 4, , 5]);
                        _b = (_a = results.push).apply;
                        _c = [results];
                        return [4 /*yield*/, run(this, item)];
                    case 3:
                        _b.apply(_a, _c.concat([(_d.sent())]));
                        return [3 /*break*/, 5];
                    case 4:
                        error_1 = _d.sent();
                        if (!this.continueOnFail())
                            throw error_1;
                        results.push({ json: { error: error_1.message }, error: error_1, pairedItem: { item: item } });
                        return [3 /*break*/, 5];
                    case 5:
                        item++;
                        return [3 /*break*/, 1];
                    case 6: return [2 /*return*/, [results]];
                }
            });
        });
    };
    return StemSplitter;
}());
exports.StemSplitter = StemSplitter;
/** Runs the operation for an item. */
function run(node, item) {
    return __awaiter(this, void 0, void 0, function () {
        var operation, one, _a, _b, field, _c, _d, split, isDownload, _e, qs, page, path, _f, _g, _h, _j, _k, _l;
        var _m;
        return __generator(this, function (_o) {
            switch (_o.label) {
                case 0:
                    operation = node.getNodeParameter('operation', item);
                    one = function (json) { return [{ json: json, pairedItem: { item: item } }]; };
                    _a = operation;
                    switch (_a) {
                        case 'getCredits': return [3 /*break*/, 1];
                        case 'upload': return [3 /*break*/, 3];
                        case 'analyze': return [3 /*break*/, 5];
                        case 'createSplit': return [3 /*break*/, 7];
                        case 'getManySplits': return [3 /*break*/, 12];
                    }
                    return [3 /*break*/, 14];
                case 1:
                    _b = one;
                    return [4 /*yield*/, (0, api_1.call)(node, item, 'GET', '/credits')];
                case 2: return [2 /*return*/, _b.apply(void 0, [_o.sent()])];
                case 3:
                    field = node.getNodeParameter('binaryField', item);
                    _c = one;
                    _m = {};
                    return [4 /*yield*/, (0, api_1.upload)(node, item, field)];
                case 4: return [2 /*return*/, _c.apply(void 0, [(_m.input = _o.sent(), _m)])];
                case 5:
                    _d = one;
                    return [4 /*yield*/, createJob(node, item, '/audio/analyses', {})];
                case 6: return [2 /*return*/, _d.apply(void 0, [_o.sent()])];
                case 7: return [4 /*yield*/, createJob(node, item, '/audio/splits', splitOptions(node, item))];
                case 8:
                    split = _o.sent();
                    isDownload = split.status === 'succeeded' && node.getNodeParameter('download', item, false);
                    if (!isDownload) return [3 /*break*/, 10];
                    return [4 /*yield*/, (0, api_1.stems)(node, item, split)];
                case 9:
                    _e = [_o.sent()];
                    return [3 /*break*/, 11];
                case 10:
                    _e = one(split);
                    _o.label = 11;
                case 11: return [2 /*return*/, _e];
                case 12:
                    qs = { limit: node.getNodeParameter('limit', item) };
                    return [4 /*yield*/, (0, api_1.call)(node, item, 'GET', '/audio/splits', { qs: qs })];
                case 13:
                    page = _o.sent();
                    return [2 /*return*/, page.items.flatMap(one)];
                case 14:
                    path = "/audio/splits/".concat(encodeURIComponent(node.getNodeParameter('splitId', item)));
                    _f = operation;
                    switch (_f) {
                        case 'getSplit': return [3 /*break*/, 15];
                        case 'downloadStems': return [3 /*break*/, 17];
                        case 'cancelSplit': return [3 /*break*/, 20];
                        case 'deleteSplit': return [3 /*break*/, 22];
                    }
                    return [3 /*break*/, 24];
                case 15:
                    _g = one;
                    return [4 /*yield*/, (0, api_1.call)(node, item, 'GET', path)];
                case 16: return [2 /*return*/, _g.apply(void 0, [_o.sent()])];
                case 17:
                    _h = api_1.stems;
                    _j = [node, item];
                    return [4 /*yield*/, (0, api_1.call)(node, item, 'GET', path)];
                case 18: return [4 /*yield*/, _h.apply(void 0, _j.concat([_o.sent()]))];
                case 19: return [2 /*return*/, [_o.sent()]];
                case 20:
                    _k = one;
                    return [4 /*yield*/, (0, api_1.call)(node, item, 'POST', "".concat(path, "/cancel"))];
                case 21: return [2 /*return*/, _k.apply(void 0, [_o.sent()])];
                case 22:
                    _l = one;
                    return [4 /*yield*/, (0, api_1.call)(node, item, 'DELETE', path)];
                case 23: return [2 /*return*/, _l.apply(void 0, [_o.sent()])];
                case 24: throw new n8n_workflow_1.NodeOperationError(node.getNode(), "There is no operation ".concat(operation, "."), { itemIndex: item });
            }
        });
    });
}
/** Creates a job, and waits for its end unless this is turned off. */
function createJob(node, item, path, body) {
    return __awaiter(this, void 0, void 0, function () {
        var created, _a, _b, timeout;
        var _c;
        return __generator(this, function (_d) {
            switch (_d.label) {
                case 0:
                    _a = api_1.create;
                    _b = [node, item, path];
                    _c = {};
                    return [4 /*yield*/, source(node, item)];
                case 1: return [4 /*yield*/, _a.apply(void 0, _b.concat([__assign.apply(void 0, [(_c.input = _d.sent(), _c), body])]))];
                case 2:
                    created = _d.sent();
                    if (!node.getNodeParameter('wait', item, true))
                        return [2 /*return*/, created];
                    timeout = node.getNodeParameter('options', item, {}).timeout;
                    return [4 /*yield*/, (0, api_1.wait)(node, item, "".concat(path, "/").concat(created.id), timeout !== null && timeout !== void 0 ? timeout : 600)];
                case 3: return [2 /*return*/, _d.sent()];
            }
        });
    });
}
/** Returns the song of a job. */
function source(node, item) {
    return __awaiter(this, void 0, void 0, function () {
        var kind, given, url;
        return __generator(this, function (_a) {
            switch (_a.label) {
                case 0:
                    kind = node.getNodeParameter('source', item, 'url');
                    if (!(kind === 'binary')) return [3 /*break*/, 2];
                    return [4 /*yield*/, (0, api_1.upload)(node, item, node.getNodeParameter('binaryField', item))];
                case 1: return [2 /*return*/, _a.sent()];
                case 2:
                    if (kind === 'upload') {
                        given = node.getNodeParameter('upload', item);
                        return [2 /*return*/, typeof given === 'string' ? JSON.parse(given) : given];
                    }
                    url = node.getNodeParameter('audioUrl', item);
                    return [2 /*return*/, { type: kind === 'link' ? 'link' : 'direct_url', url: url }];
            }
        });
    });
}
function splitOptions(node, item) {
    var _a;
    var options = node.getNodeParameter('options', item, {});
    var body = { stemModel: node.getNodeParameter('stemModel', item, '6s') };
    for (var _i = 0, _b = ['outputFormat', 'quality', 'webhookUrl']; _i < _b.length; _i++) {
        var name_1 = _b[_i];
        if (options[name_1])
            body[name_1] = options[name_1];
    }
    var names = String((_a = options.stems) !== null && _a !== void 0 ? _a : '').split(',').map(function (name) { return name.trim(); }).filter(Boolean);
    if (names.length > 0)
        body.stems = names;
    return body;
}
