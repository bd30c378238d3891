"""The networks of the later lessons in PyTorch, to train beside the layers of bench/models.cpp."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


# ---- Convolutional networks ----------------------------------------------------------------------
def conv_norm(cin, cout, kernel, stride=1, groups=1, activation=None):
    layers = [nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False),
              nn.BatchNorm2d(cout)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions; where the size changes the shortcut takes every second pixel and adds
    channels of zeros (1512.03385, option A)."""
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.first = conv_norm(cin, cout, 3, stride, activation=nn.ReLU)
        self.second = conv_norm(cout, cout, 3)
        self.stride, self.more = stride, (cout - cin) // 2

    def forward(self, x):
        y = self.second(self.first(x))
        if self.more:
            x = F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, self.more, self.more))
        return F.relu(x + y)


def resnet20():
    layers, channels = [conv_norm(3, 16, 3, activation=nn.ReLU)], 16
    for stage, width in enumerate((16, 32, 64)):
        for block in range(3):
            layers.append(BasicBlock(channels, width, 2 if stage and block == 0 else 1))
            channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class MBConv(nn.Module):
    """Expand, depthwise, squeeze and excite, project (1905.11946)."""
    def __init__(self, cin, cout, expand, kernel, stride):
        super().__init__()
        mid, squeezed = cin * expand, max(1, cin // 4)
        self.wide = nn.Sequential(
            *([conv_norm(cin, mid, 1, activation=nn.SiLU)] if expand > 1 else []),
            conv_norm(mid, mid, kernel, stride, groups=mid, activation=nn.SiLU))
        self.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(mid, squeezed, 1), nn.SiLU(),
                                    nn.Conv2d(squeezed, mid, 1), nn.Sigmoid())
        self.project = conv_norm(mid, cout, 1)
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        y = self.wide(x)
        y = self.project(y * self.excite(y))
        return x + y if self.residual else y


# Expansion, channels, blocks, stride, kernel; strides for images of 32 x 32.
STAGES = [(1, 16, 1, 1, 3), (6, 24, 2, 1, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
          (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)]


def efficientnet(width=1.0, depth=1.0):
    def scaled(n):
        rounded = max(8, int(n * width + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * n * width else rounded
    channels = scaled(32)
    layers = [conv_norm(3, channels, 3, activation=nn.SiLU)]
    for expand, out, blocks, stride, kernel in STAGES:
        for block in range(math.ceil(blocks * depth)):
            layers.append(MBConv(channels, scaled(out), expand, kernel, 1 if block else stride))
            channels = scaled(out)
    head = scaled(1280)
    return nn.Sequential(*layers, conv_norm(channels, head, 1, activation=nn.SiLU),
                         nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(head, 10))


# ---- Transformers --------------------------------------------------------------------------------
class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        b, t, d = x.shape
        q, k, v = self.qkv(x).view(b, t, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        weights = (q @ k.transpose(-2, -1) * (d // self.heads) ** -0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    """x + f(norm(x)), as in ViT, or norm(x + f(x)), as in BERT."""
    def __init__(self, dim, heads, norm_first=True):
        super().__init__()
        self.norm_first, self.norms = norm_first, nn.ModuleList(nn.LayerNorm(dim) for _ in "ab")
        wide = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.parts = nn.ModuleList([Attention(dim, heads), wide])

    def forward(self, x):
        for norm, part in zip(self.norms, self.parts):
            x = x + part(norm(x)) if self.norm_first else norm(x + part(x))
        return x


def blocks(count, *arguments):
    return nn.Sequential(*[Block(*arguments) for _ in range(count)])


def positions(count, dim):
    return nn.Parameter(torch.randn(1, count, dim) * 0.02)


class ViT(nn.Module):
    def __init__(self, dim=192, depth=6, heads=3):
        super().__init__()
        self.patch, self.position = nn.Conv2d(3, dim, 4, 4), positions(65, dim)
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.blocks = blocks(depth, dim, heads)
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


class Bert(nn.Module):
    """forward((ids, places)) gives the vocabulary's logits at the masked places alone."""
    def __init__(self, vocabulary=8192, dim=256, depth=4, heads=4, length=128):
        super().__init__()
        self.token, self.position = nn.Embedding(vocabulary, dim), positions(length, dim)
        self.segment, self.norm = nn.Embedding(2, dim), nn.LayerNorm(dim)
        nn.init.normal_(self.token.weight, std=0.02)
        self.blocks = blocks(depth, dim, heads, False)
        self.transform = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.LayerNorm(dim))
        self.bias = nn.Parameter(torch.zeros(vocabulary))

    def forward(self, x):
        ids, places = x
        x = self.norm(self.token(ids) + self.position + self.segment.weight[0])
        x = self.transform(self.blocks(x).flatten(0, 1)[places])
        return F.linear(x, self.token.weight, self.bias)


class MAE(nn.Module):
    """Encodes a quarter of the patches, decodes all (2111.06377); forward gives the loss."""
    def __init__(self, dim=192, depth=6, decoder_dim=96, decoder_depth=2, heads=3):
        super().__init__()
        self.embed, self.position = nn.Linear(48, dim), positions(65, dim)
        self.token, self.mask = positions(1, dim), positions(1, decoder_dim)
        self.encoder, self.norm = blocks(depth, dim, heads), nn.LayerNorm(dim)
        self.between, self.decoder_position = nn.Linear(dim, decoder_dim), positions(65, decoder_dim)
        self.decoder = blocks(decoder_depth, decoder_dim, heads)
        self.predict = nn.Sequential(nn.LayerNorm(decoder_dim), nn.Linear(decoder_dim, 48))

    def forward(self, images):
        n = len(images)
        patches = images.view(n, 3, 8, 4, 8, 4).permute(0, 2, 4, 3, 5, 1).reshape(n, 64, 48)
        order = torch.rand(n, 64).argsort(1)
        back, seen = order.argsort(1)[..., None], order[:, :16, None]
        x = (self.embed(patches) + self.position[:, 1:]).gather(1, seen.expand(-1, -1, 192))
        x = torch.cat([(self.token + self.position[:, :1]).expand(n, -1, -1), x], 1)
        x = self.between(self.norm(self.encoder(x)))
        token, x = x[:, :1], torch.cat([x[:, 1:], self.mask.expand(n, 48, -1)], 1)
        x = torch.cat([token, x.gather(1, back.expand(-1, -1, x.shape[-1]))], 1)
        x = self.predict(self.decoder(x + self.decoder_position))[:, 1:]
        hidden = (back[..., 0] >= 16).float()
        return (((x - patches) ** 2).mean(-1) * hidden).sum() / hidden.sum()
